//! What the city should know beforehand, from CSV (RFC 4180) under the names of the public interface.

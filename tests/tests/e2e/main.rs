//! The gateway from outside: real processes, real sockets.

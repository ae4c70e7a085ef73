//! What runs beside the gateway because its business is deliveries. Part of the binary: the library knows nothing of it.

pub(crate) mod calls;
pub(crate) mod planner;
pub(crate) mod sms;

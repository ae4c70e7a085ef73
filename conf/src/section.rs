//! The sections of the file, one struct each.

mod city;
mod dialect;
mod dispatch;
mod gateway;
mod handback;
mod keeping;
mod route;
mod sms;
mod upstream;

pub use city::{Acting, Auth, AuthMode, Callbacks, Command, Merchant};
pub use dialect::{Dialect, Envelope, ErrorEnvelope, FIELDS, PATHS, STATUSES, TimeFormat, WireName};
pub use dispatch::{Dispatch, Planner, Speeds};
pub use gateway::{Admin, Gateway, ListenerTls, Log, LogFormat, LogLevel};
pub use handback::{Assigned, Credentials, Drain, OnConflict, Shadow};
pub use keeping::{Backup, IdForm, Idempotency, Ids, Orders, Store};
pub use route::{Policy, Route};
pub use sms::{HttpMethod, HttpSms, Modem, Scheduler, Sms, SmtpSms, SmtpTls, Unknown};
pub use upstream::{Health, Lookup, LookupMethod, OnTimeout, Passive, Settlement, Success, Upstream, UpstreamTls};

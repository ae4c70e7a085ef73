//! The gateway from outside: real processes, real sockets, one strict checker.

mod backup;
mod bad_input;
mod calls;
mod cold_start;
mod credentials;
mod dispatching;
mod drain;
mod failed_commits;
mod forms;
mod ids;
mod lifecycle;
mod model;
mod mutations;
mod no_client_sees_it;
mod nothing_lost;
mod outage;
mod parked;
mod positions;
mod possibly_applied;
mod readme;
mod repeats;
mod retention;
mod settle;
mod startup;
mod tls;
mod watching;

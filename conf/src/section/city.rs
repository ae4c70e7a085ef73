//! What the gateway may do by itself, and for whom: `[auth]`, `[acting]`,
//! `[callbacks]`, `[[merchant]]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, or, required};
use crate::read::form::{path, plain, text, word};
use crate::read::list::list;
use crate::read::number::{count, duration};
use crate::read::{section, words};
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, secs};
use crate::value::{Amount, CallbackTarget, is_label};

words! {
    /// Who may come in while the gateway acts.
    pub enum AuthMode {
        /// Whose credentials Oblivion accepted before the outage.
        Learned = "learned",
        /// Who carries a valid token.
        Jwt = "jwt",
        /// Who carries a known key.
        Keys = "keys",
        /// Everyone who reaches the listener.
        Open = "open",
    }
}

section! {
    /// Who may come in while the gateway acts. While it forwards, Oblivion decides.
    pub struct Auth {
        /// `open` lets in everyone who reaches the listener: put the gateway behind something that
        /// checks. It is the only mode that is built so far, and the default until `learned` is.
        pub mode: AuthMode = or(word(), AuthMode::Open),
    }
}

words! {
    /// A decision that the gateway may make by itself while it acts. Facts (positions, pick-ups,
    /// deliveries, cash) are always taken.
    pub enum Command {
        /// Taking a new order.
        PlaceOrder = "placeOrder",
        /// Changing an order.
        UpdateOrder = "updateOrder",
        /// Cancelling an order.
        CancelOrder = "cancelOrder",
        /// Giving an order to a pilot.
        Assign = "assign",
        /// Registering or changing a pilot.
        SetPilot = "setPilot",
    }
}

section! {
    /// The limits of what the gateway decides by itself. Beyond them it answers 503
    /// `beyond_stand_in`; facts are never beyond.
    pub struct Acting {
        /// The most cash to collect on one order, in the order's own currency.
        pub max_cod_amount: Amount = or(text(), Amount::whole(5_000)),
        /// Open orders of one merchant at most.
        pub max_open_orders_per_merchant: u32 = or(count(0..=100_000_000), 200),
        /// The decisions that it may make.
        pub allow: Vec<Command> = or(
            list(word()),
            vec![Command::PlaceOrder, Command::UpdateOrder, Command::CancelOrder, Command::Assign, Command::SetPilot],
        ),
        /// How long into an outage it goes on deciding; without it, to its end.
        pub max_duration: Option<Duration> = optional(duration(MINUTE..=DAY * 365), HOUR * 12),
    }
}

section! {
    /// Calls to pilots' apps and merchants' services.
    pub struct Callbacks {
        /// The only targets that may be registered: networks, hosts, `*.domain`. Empty, none.
        pub allow: Vec<CallbackTarget> = or(list(text()), Vec::new()),
        /// The longest that a call may take.
        pub timeout: Duration = or(duration(MS * 100..=MINUTE), secs(5)),
        /// Calls to one pilot's app or merchant's service at a time, each about another order.
        pub max_concurrency: usize = or(count(1..=1_000), 4),
        /// Calls that are owed at once, at most: beyond, merchants are told nothing new.
        pub max_calls: usize = or(count(1..=100_000_000), 200_000),
        /// A call that has failed for so long waits for the operator instead.
        pub give_up_after: Duration = or(duration(SECOND..=DAY * 30), HOUR * 6),
        /// The longest pause between two attempts.
        pub max_backoff: Duration = or(duration(MS * 100..=DAY), MINUTE * 5),
        /// Pilots' apps that are asked for their state a second when acting starts; 0, none is.
        pub refresh_rate: u32 = or(count(0..=10_000), 20),
        /// The longest that a pilot's app may wait for news in `/ind/getminiondeliveryinfo`.
        pub max_wait: Duration = or(duration(Duration::ZERO..=MINUTE * 5), secs(30)),
        /// Apps that wait so at once; the others are answered at once.
        pub max_waiting: usize = or(count(0..=1_000_000), 20_000),
        /// The certificates, in PEM, that apps and services in HTTPS are verified by; without it, the system's.
        pub ca: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/callbacks-ca.pem")),
    }
}

section! {
    /// A merchant whose service is told about its orders. Each needs an `id` of its own.
    pub struct Merchant {
        /// The `merchantId` of its orders.
        pub id: String = required(plain("a merchantId", is_label), "M1".to_owned()),
        /// Where its service listens; it must be within `callbacks.allow`.
        pub callback_url: String = required(
            plain("a URL of http or https", |text| is_label(text) && (text.starts_with("https://") || text.starts_with("http://"))),
            "https://merchant.example.com/megamind".to_owned(),
        ),
        /// A file with the secret that signs the calls (Standard Webhooks, `whsec_…`); during rotation with two, a line
        /// each. It is read again as it changes.
        pub secret_file: PathBuf = required(path(), PathBuf::from("/etc/megamind/m1.secret")),
    }
}

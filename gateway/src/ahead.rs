//! What takes too long for the journal's writer: worked out over the published city before the write is decided.

use std::sync::Arc;

use megamind_domain::{Domain, Parsed, Time};
use tokio::sync::Mutex;

use crate::core::{Core, wall_clock};

/// Makes of a command, over a city and at a time, the one that is decided instead.
pub type Work<D> = fn(&D, &<D as Domain>::City, &<D as Domain>::Command, Time) -> Option<<D as Domain>::Command>;

/// The part of a domain that works ahead.
pub(crate) struct Ahead<D: Domain> {
    pub(crate) takes_long: fn(&D::Command) -> bool,
    pub(crate) work: Work<D>,
    /// One at a time: whoever asks often must not take all processors.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl<D: Domain> Core<D> {
    /// The same write with what takes long done, on a thread that may take its time. What comes of it is decided
    /// against the newest city like everything else.
    pub(crate) async fn worked_ahead(self: &Arc<Self>, write: Arc<Parsed<D::Command>>) -> Arc<Parsed<D::Command>> {
        let Some(Ahead { takes_long, work, turn }) = &self.ahead else {
            return write;
        };
        if !takes_long(&write.command) {
            return write;
        }
        let (core, given, work) = (self.clone(), write.clone(), *work);
        // It goes with the work, which goes on where the client is gone.
        let turn = turn.clone().lock_owned().await;
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let published = core.store.published().clone();
            core.guarded(|| work(&core.domain, &published.city, &given.command, wall_clock()))
        });
        match worked.await {
            Ok(Ok(Some(command))) => Arc::new(Parsed {
                command,
                subject: write.subject.clone(),
                natural: write.natural.clone(),
                fact: write.fact,
                patience: None,
            }),
            // The writer does it.
            _ => write,
        }
    }
}

//! Commands of the house's own: nobody is answered, and nothing goes to the upstream.

use bytes::Bytes;
use megamind_domain::{Domain, EntityKey, Stance};

use super::draft::Trial;
use crate::{published::fenced, queue, record::Head};

impl<D: Domain> Trial<'_, D> {
    /// Decides a command unless something that it names waits in the queue, or has just been changed and may be written
    /// to disk with it. False where it was left undone.
    pub(super) fn upkeep(&mut self, command: &D::Command, names: &[(Box<str>, EntityKey)]) -> bool {
        let named = self.named_by(command);
        if fenced(&self.draft.base.fences, &named) || named.iter().any(|touch| self.is_unwritten(touch.key)) {
            return false;
        }
        let now = self.now();
        let Ok(decision) = self.ask(command, Stance::Standby, now) else {
            return false;
        };
        if decision.events.is_empty() {
            return true;
        }
        let seq = self.record(now, &decision.events, Bytes::new());
        let mut touches = self.apply(&decision.events, seq);
        queue::merge(&mut touches, &named);
        self.ticks.written(&touches, self.shared.last_tick());
        if let Some(record) = self.recorded(seq) {
            record.head = Head::Upkeep.encode();
        }
        self.draft.names.extend_from_slice(names);
        self.draft.durable = true;
        true
    }
}

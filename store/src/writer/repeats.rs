//! What is remembered of forwarded writes, for their repetition.

use bytes::Bytes;
use megamind_domain::{Domain, Response};

use super::draft::Trial;
use crate::{
    Repeat, SubmitError,
    journal::Record,
    keys::{KeyRow, Seen},
    record::{AnswerHead, Head, Kept},
};

impl<D: Domain> Trial<'_, D> {
    /// A write is about to be sent to an upstream that would take its repetition for another one.
    pub(super) fn attempt(&mut self, keys: &[KeyRow], forwarded: Option<&[u32]>) {
        let head = match forwarded {
            None => Head::Attempted,
            Some(places) => Head::Split { forwarded: places.into() },
        };
        self.draft.note(self.now(), self.epoch, &head);
        for key in keys {
            self.remember(Some(*key), self.draft.base.last_seq);
        }
    }

    /// The upstream answered a write; without an answer to be repeated, it had no effect.
    pub(super) fn answered(&mut self, key: KeyRow, answer: Option<&Response>) {
        let now = self.now();
        let head = Head::Answered { answer: answer.map(AnswerHead::from) };
        let seq = self.draft.next_seq(now);
        let mut record = Record::bare(seq, now, self.epoch, &head);
        record.answer = answer.map_or_else(Bytes::new, |answer| answer.body.clone());
        self.draft.records.push(record);
        self.remember(Some(key), seq);
    }

    /// What came of the first request of this identity.
    pub(super) fn look(&self, key: &KeyRow) -> Result<Repeat, SubmitError> {
        match self.seen(key) {
            Seen::Never => Ok(Repeat::First),
            Seen::OtherContent => Ok(Repeat::OtherContent),
            Seen::Before(seq) => self.kept(seq).map(|kept| match kept {
                Kept::Answer(response) => Repeat::Answered(response),
                Kept::Attempted(at) => Repeat::InDoubt { at },
                Kept::Split { forwarded, at } => Repeat::Split { forwarded, at },
                Kept::Nothing => Repeat::First,
            }),
        }
    }
}

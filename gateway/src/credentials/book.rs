//! Which credential of whom was accepted, and which was refused.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::secret::Secret;

/// Speakers that are remembered in memory at most, in each part of the book.
const MOST: usize = 8_192;

/// Parts of the book, each with a lock of its own.
const PARTS: usize = 16;

/// After this time a credential that was refused is tried again, since it may have been the upstream's fault; the time
/// doubles with each refusal.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest such time.
const LONGEST: Duration = Duration::from_mins(1);

/// Refused credentials that are remembered of one speaker.
const REFUSED: usize = 4;

/// A hash by which one credential is told from another.
pub(super) type Digest = u64;

/// What is known of one speaker.
#[derive(Default)]
struct Known {
    /// The newest that was accepted.
    newest: Option<(Digest, Secret)>,
    /// Another one that the speaker came with since, and that the upstream has not seen: what the speaker writes is
    /// answered here while earlier writes wait. It is tried where the newest is refused.
    presented: Option<(Digest, Secret)>,
    /// Whether the journal is still to be told.
    dirty: bool,
    /// Whether the journal was asked for one of an earlier run, and had none.
    unknown: bool,
    /// Those that were refused since something was accepted.
    refused: Vec<Refused>,
}

/// A credential that was refused.
#[derive(Clone, Copy)]
struct Refused {
    digest: Digest,
    first: Instant,
    last: Instant,
    /// How long it is not tried again.
    pause: Duration,
}

impl Refused {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= self.pause
    }
}

/// Everything that is known. Speakers who are nobody (`""`) are one.
pub(super) struct Book {
    parts: [Mutex<HashMap<Box<str>, Known>>; PARTS],
    hasher: RandomState,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }

    fn part(&self, speaker: &str) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        let part = self.hasher.hash_one(speaker) as usize % PARTS;
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn digest(&self, secret: Option<&Secret>) -> Digest {
        secret.map_or(0, |secret| self.hasher.hash_one(secret.bytes()))
    }

    /// A credential was accepted just now. Whether it is news.
    pub(super) fn accepted(&self, speaker: &str, secret: &Secret) -> bool {
        let digest = self.digest(Some(secret));
        let mut part = self.part(speaker);
        if let Some(known) = part.get_mut(speaker) {
            known.refused.clear();
            known.presented = None;
            if known.newest.as_ref().is_some_and(|(known, _)| *known == digest) {
                return false;
            }
        }
        make_room(&mut part);
        let known = part.entry(speaker.into()).or_default();
        known.newest = Some((digest, secret.clone()));
        known.dirty = true;
        true
    }

    /// A speaker comes with this one, and is answered here.
    pub(super) fn presented(&self, speaker: &str, secret: &Secret) {
        let digest = self.digest(Some(secret));
        let mut part = self.part(speaker);
        if !part.contains_key(speaker) {
            make_room(&mut part);
        }
        let known = part.entry(speaker.into()).or_default();
        let is_newest = known.newest.as_ref().is_some_and(|(newest, _)| *newest == digest);
        if !is_newest && known.refused.iter().all(|refused| refused.digest != digest) {
            known.presented = Some((digest, secret.clone()));
        }
    }

    /// The journal knows this one from an earlier run.
    pub(super) fn remembered(&self, speaker: &str, secret: &Secret) {
        let digest = self.digest(Some(secret));
        let mut part = self.part(speaker);
        make_room(&mut part);
        let known = part.entry(speaker.into()).or_default();
        known.newest.get_or_insert((digest, secret.clone()));
    }

    /// The journal knows none of this speaker's.
    pub(super) fn is_unknown(&self, speaker: &str) -> bool {
        self.part(speaker).get(speaker).is_some_and(|known| known.unknown)
    }

    /// It was asked, and so it is.
    pub(super) fn not_remembered(&self, speaker: &str) {
        let mut part = self.part(speaker);
        make_room(&mut part);
        part.entry(speaker.into()).or_default().unknown = true;
    }

    pub(super) fn newest(&self, speaker: &str) -> Option<Secret> {
        let part = self.part(speaker);
        part.get(speaker)?.newest.as_ref().map(|(_, secret)| secret.clone())
    }

    /// See [`Self::presented`].
    pub(super) fn fresh(&self, speaker: &str) -> Option<Secret> {
        let part = self.part(speaker);
        part.get(speaker)?.presented.as_ref().map(|(_, secret)| secret.clone())
    }

    /// What the journal has to be told.
    pub(super) fn take_dirty(&self) -> Vec<(Box<str>, Secret)> {
        let mut dirty = Vec::new();
        for part in &self.parts {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for (speaker, known) in part.iter_mut().filter(|(_, known)| known.dirty) {
                known.dirty = false;
                dirty.extend(known.newest.as_ref().map(|(_, secret)| (speaker.clone(), secret.clone())));
            }
        }
        dirty
    }

    /// The journal could not be told.
    pub(super) fn still_dirty(&self, speakers: impl Iterator<Item = Box<str>>) {
        for speaker in speakers {
            if let Some(known) = self.part(&speaker).get_mut(&speaker) {
                known.dirty = true;
            }
        }
    }

    /// A replay with this credential was refused.
    pub(super) fn refused(&self, speaker: &str, digest: Digest, now: Instant) {
        let mut part = self.part(speaker);
        make_room(&mut part);
        let known = part.entry(speaker.into()).or_default();
        match known.refused.iter_mut().find(|refused| refused.digest == digest) {
            Some(refused) => {
                // Several may have been under way with it at once.
                if refused.is_over(now) {
                    refused.pause = (refused.pause * 2).min(LONGEST);
                }
                refused.last = now;
            }
            None => {
                if known.refused.len() == REFUSED {
                    known.refused.remove(0);
                }
                known.refused.push(Refused { digest, first: now, last: now, pause: AGAIN });
            }
        }
    }

    /// A replay of this speaker's passed with this credential: nothing stands against it any more.
    pub(super) fn passed(&self, speaker: &str, digest: Digest) {
        if let Some(known) = self.part(speaker).get_mut(speaker) {
            known.refused.clear();
            if let Some(fresh) = known.presented.take_if(|(presented, _)| *presented == digest) {
                known.newest = Some(fresh);
                known.dirty = true;
            }
        }
    }

    /// Whether a credential is worth trying now.
    pub(super) fn is_good(&self, speaker: &str, digest: Digest, now: Instant) -> bool {
        let part = self.part(speaker);
        let refused = part.get(speaker).map_or(&[][..], |known| &known.refused);
        refused.iter().all(|refused| refused.digest != digest || refused.is_over(now))
    }

    /// Speakers whose replays wait for a fresh credential, and how many of them have for longer than `limit`.
    pub(super) fn waiting(&self, now: Instant, limit: Duration) -> (u64, u64) {
        let (mut waiting, mut overdue) = (0, 0);
        for part in &self.parts {
            for known in part.lock().unwrap_or_else(PoisonError::into_inner).values() {
                let Some(since) = known.refused.iter().map(|refused| refused.first).min() else {
                    continue;
                };
                waiting += 1;
                overdue += u64::from(now.saturating_duration_since(since) > limit);
            }
        }
        (waiting, overdue)
    }
}

/// What the journal knows can be read again, so it may be forgotten here.
fn make_room(part: &mut HashMap<Box<str>, Known>) {
    if part.len() >= MOST {
        part.retain(|_, known| known.dirty || !known.refused.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::service(text).expect("a token")
    }

    #[test]
    fn the_newest_that_was_accepted_is_known_and_told_once() {
        let book = Book::new();
        assert!(book.accepted("M1", &secret("one")));
        assert!(!book.accepted("M1", &secret("one")), "no news");
        assert!(book.accepted("M1", &secret("two")));
        book.remembered("M1", &secret("of an earlier run"));
        assert_eq!(book.newest("M1"), Some(secret("two")));
        assert_eq!(book.newest("M2"), None);
        assert_eq!(book.take_dirty(), [("M1".into(), secret("two"))]);
        assert_eq!(book.take_dirty(), []);
        book.still_dirty(["M1".into()].into_iter());
        assert_eq!(book.take_dirty().len(), 1);
    }

    #[test]
    fn what_was_refused_waits_for_a_fresh_one_and_is_tried_now_and_then() {
        let book = Book::new();
        let now = Instant::now();
        let (old, new) = (book.digest(Some(&secret("old"))), book.digest(Some(&secret("new"))));
        book.refused("M1", old, now);
        assert!(!book.is_good("M1", old, now));
        assert!(book.is_good("M1", new, now) && book.is_good("M2", old, now));
        assert!(book.is_good("M1", old, now + AGAIN));
        book.refused("M1", old, now + AGAIN);
        assert!(!book.is_good("M1", old, now + AGAIN * 2) && book.is_good("M1", old, now + AGAIN * 3));
        assert_eq!(book.waiting(now + AGAIN, AGAIN / 2), (1, 1), "since it was first refused");
        assert_eq!(book.waiting(now + AGAIN, AGAIN * 2), (1, 0));
        book.accepted("M1", &secret("new"));
        assert_eq!(book.waiting(now + AGAIN, AGAIN), (0, 0));
        book.refused("M1", new, now);
        book.passed("M1", new);
        assert!(book.is_good("M1", new, now));
    }

    #[test]
    fn what_a_refused_speaker_comes_with_counts_once_a_replay_passed_with_it() {
        let book = Book::new();
        let now = Instant::now();
        let (old, new) = (book.digest(Some(&secret("old"))), book.digest(Some(&secret("new"))));
        book.accepted("P1", &secret("old"));
        book.presented("P1", &secret("old"));
        assert_eq!(book.fresh("P1"), None, "it is the newest");
        book.refused("P1", old, now);
        book.presented("P1", &secret("new"));
        assert_eq!((book.fresh("P1"), book.newest("P1")), (Some(secret("new")), Some(secret("old"))));
        book.passed("P1", new);
        assert_eq!((book.fresh("P1"), book.newest("P1")), (None, Some(secret("new"))));
    }

    #[test]
    fn the_book_is_bounded_and_forgets_only_what_the_journal_knows() {
        let book = Book::new();
        for number in 0..MOST * PARTS / 2 {
            book.accepted(&format!("P{number}"), &secret("x"));
        }
        let told = book.take_dirty().len();
        for number in 0..MOST * PARTS * 2 {
            book.remembered(&format!("Q{number}"), &secret("x"));
        }
        let held: usize = book.parts.iter().map(|part| part.lock().expect("no panic").len()).sum();
        assert!(held <= MOST * PARTS + told, "{held}");
    }
}

//! From a text to the messages that carry it: the cheapest alphabet, split at 160 septets or 70
//! UTF-16 units, never inside an escape sequence or a surrogate pair.

use super::{
    Address, Concat, DataCoding, Header, Payload, Reference, Submit, UserData,
    alphabet::{Language, Shift},
    user_data::{MAX_OCTETS, MAX_SEPTETS, header_septets, ucs2},
};

/// A text that no number of messages can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text takes {parts} messages, at most {limit} are allowed")]
pub struct TooLong {
    /// Messages needed.
    pub parts: usize,
    /// Messages allowed.
    pub limit: u8,
}

/// How a text is to be written.
#[derive(Debug, Clone)]
pub struct Composer<'a> {
    /// National tables that recipients are known to have; without them a text outside the default
    /// alphabet goes as UCS-2.
    pub languages: &'a [Language],
    /// The reference that the parts share.
    pub reference: Reference,
    /// At most this many messages.
    pub max_parts: u8,
}

impl Default for Composer<'_> {
    fn default() -> Self {
        Self { languages: &[], reference: Reference::Short(0), max_parts: u8::MAX }
    }
}

/// One way to write a text, with what it costs.
enum Writing {
    Gsm7(Shift),
    Ucs2,
}

impl Composer<'_> {
    /// The user data of each message for `text`, at least one.
    pub fn split(&self, text: &str) -> Result<Vec<UserData>, TooLong> {
        let best = self
            .writings(text)
            .map(|writing| {
                let parts = self.pieces(text, &writing);
                (writing, parts)
            })
            // The first of equals: plain before national before UCS-2.
            .min_by_key(|(_, parts)| parts.len());
        // UCS-2 can write every text.
        let (writing, pieces) = best.unwrap_or((Writing::Ucs2, Vec::new()));
        let limit = self.max_parts;
        let total = u8::try_from(pieces.len())
            .ok()
            .filter(|total| *total <= limit)
            .ok_or(TooLong { parts: pieces.len(), limit })?;
        let concat = |part| (total > 1).then_some(Concat { reference: self.reference, total, part });
        Ok(pieces
            .into_iter()
            .zip(1..=total)
            .filter_map(|(payload, part)| writing.user_data(concat(part), payload))
            .collect())
    }

    /// The messages that bring `text` to `destination`.
    pub fn submit(&self, destination: &Address, text: &str) -> Result<Vec<Submit>, TooLong> {
        Ok(self
            .split(text)?
            .into_iter()
            .map(|user_data| Submit::new(destination.clone(), user_data))
            .collect())
    }

    fn writings(&self, text: &str) -> impl Iterator<Item = Writing> {
        let national = self.languages.iter().copied().flat_map(|language| {
            let locking = language.has_locking().then_some(language);
            [(None, Some(language)), (locking, None), (locking, Some(language))]
                .map(|(locking, single)| Shift { locking, single })
        });
        std::iter::once(Shift::default())
            .chain(national)
            .filter(|shift| text.chars().all(|c| shift.encode_char(c).is_some()))
            .map(Writing::Gsm7)
            .chain([Writing::Ucs2])
    }

    /// `text` in as few pieces as `writing` needs: one, or as many as concatenated messages hold.
    fn pieces(&self, text: &str, writing: &Writing) -> Vec<Payload> {
        let place = Concat { reference: self.reference, total: 1, part: 1 };
        let one = writing.cut(text, writing.room(None));
        if one.len() <= 1 {
            return one;
        }
        writing.cut(text, writing.room(Some(place)))
    }
}

impl Writing {
    fn shift(&self) -> Shift {
        match self {
            Self::Gsm7(shift) => *shift,
            Self::Ucs2 => Shift::default(),
        }
    }

    /// Units (septets or octets) that one message has for text.
    fn room(&self, concat: Option<Concat>) -> usize {
        let header = Header::for_text(concat, self.shift()).map_or(0, |h| h.len());
        match self {
            Self::Gsm7(_) => MAX_SEPTETS - header_septets(header),
            Self::Ucs2 => MAX_OCTETS - header,
        }
    }

    /// Cuts between characters so that no piece is longer than `room` units.
    fn cut(&self, text: &str, room: usize) -> Vec<Payload> {
        let mut pieces = vec![Vec::new()];
        for character in text.chars() {
            let mut units = Vec::with_capacity(4);
            match self {
                Self::Gsm7(shift) => {
                    // Every character has a code: `writings` asked.
                    if let Some(code) = shift.encode_char(character) {
                        code.write(&mut units);
                    }
                }
                Self::Ucs2 => units = ucs2(character.encode_utf8(&mut [0; 4])),
            }
            match pieces.last_mut() {
                Some(piece) if piece.len() + units.len() <= room => piece.extend(units),
                _ => pieces.push(units),
            }
        }
        let wrap = match self {
            Self::Gsm7(_) => Payload::Gsm7,
            Self::Ucs2 => Payload::Ucs2,
        };
        pieces.into_iter().map(wrap).collect()
    }

    fn user_data(&self, concat: Option<Concat>, payload: Payload) -> Option<UserData> {
        let (coding, shift) = match self {
            Self::Gsm7(shift) => (DataCoding::GSM7, *shift),
            Self::Ucs2 => (DataCoding::UCS2, Shift::default()),
        };
        // `cut` left room for the header, and the coding fits the payload.
        UserData::new(coding, Header::for_text(concat, shift), payload).ok()
    }
}

//! The user data header: concatenation and national language shifts (3GPP TS 23.040 §9.2.3.24).

use super::{
    Error,
    alphabet::{Language, Shift},
    reader::Reader,
};

const CONCAT_8: u8 = 0x00;
const CONCAT_16: u8 = 0x08;
const SINGLE_SHIFT: u8 = 0x24;
const LOCKING_SHIFT: u8 = 0x25;

/// One information element, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    /// The information element identifier.
    pub id: u8,
    /// At most 138 octets.
    pub data: Vec<u8>,
}

/// The information elements in front of the text. It may be empty, which is not the same as none:
/// the length octet is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Header {
    elements: Vec<Element>,
}

/// The reference that the parts of one long message share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// Information element 0x00.
    Short(u8),
    /// Information element 0x08.
    Wide(u16),
}

impl Reference {
    /// The number itself.
    pub const fn value(self) -> u16 {
        match self {
            Self::Short(value) => value as u16,
            Self::Wide(value) => value,
        }
    }
}

/// Where a part belongs in its long message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concat {
    /// Shared by all parts.
    pub reference: Reference,
    /// How many parts, at least one.
    pub total: u8,
    /// Which part, from 1 to `total`.
    pub part: u8,
}

impl Header {
    /// The longest header that leaves room for its own length octet.
    const MAX_LEN: usize = 139;

    /// A header of `elements`, as long as they fit.
    pub fn new(elements: Vec<Element>) -> Option<Self> {
        let header = Self { elements };
        (header.len() <= 1 + Self::MAX_LEN).then_some(header)
    }

    /// The header that a text needs for its place in a long message and its tables; `None` when
    /// it needs none.
    pub fn for_text(concat: Option<Concat>, shift: Shift) -> Option<Self> {
        let mut elements = Vec::new();
        if let Some(Concat { reference, total, part }) = concat {
            elements.push(match reference {
                Reference::Short(value) => Element { id: CONCAT_8, data: vec![value, total, part] },
                Reference::Wide(value) => {
                    let [high, low] = value.to_be_bytes();
                    Element { id: CONCAT_16, data: vec![high, low, total, part] }
                }
            });
        }
        for (id, language) in [(SINGLE_SHIFT, shift.single), (LOCKING_SHIFT, shift.locking)] {
            elements.extend(language.map(|language| Element { id, data: vec![language.identifier()] }));
        }
        (!elements.is_empty()).then_some(Self { elements })
    }

    /// The elements in their order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Length in octets, the length octet included.
    pub fn len(&self) -> usize {
        1 + self.elements.iter().map(|e| 2 + e.data.len()).sum::<usize>()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The place in a long message. An element with an impossible place (part 0, part beyond the
    /// total, wrong length) is ignored, as §9.2.3.24.1 demands; of several the last counts.
    pub fn concat(&self) -> Option<Concat> {
        self.elements.iter().rev().find_map(|element| {
            let (reference, total, part) = match (element.id, element.data.as_slice()) {
                (CONCAT_8, &[value, total, part]) => (Reference::Short(value), total, part),
                (CONCAT_16, &[high, low, total, part]) => {
                    (Reference::Wide(u16::from_be_bytes([high, low])), total, part)
                }
                _ => return None,
            };
            (1..=total).contains(&part).then_some(Concat { reference, total, part })
        })
    }

    /// The national tables that the text uses.
    pub fn shift(&self) -> Shift {
        let language = |id| {
            self.elements
                .iter()
                .rev()
                .find_map(|element| match (element.id == id, element.data.as_slice()) {
                    (true, &[identifier]) => Language::from_identifier(identifier),
                    _ => None,
                })
        };
        Shift {
            locking: language(LOCKING_SHIFT).filter(|l| l.has_locking()),
            single: language(SINGLE_SHIFT),
        }
    }

    /// Splits `user_data` into its header and how many octets that took.
    pub(super) fn parse(user_data: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(user_data);
        let declared = usize::from(reader.octet("header length")?);
        let body = reader
            .take(declared, "user data header")
            .map_err(|_| Error::HeaderLength { declared, available: user_data.len() - 1 })?;
        let mut reader = Reader::new(body);
        let mut elements = Vec::new();
        while !reader.clone().rest().is_empty() {
            let id = reader.octet("information element")?;
            let length = usize::from(reader.octet("information element length")?);
            let data = reader.take(length, "information element data")?.to_vec();
            elements.push(Element { id, data });
        }
        Ok(Self { elements })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        // At most MAX_LEN on every way to build a header.
        out.push((self.len() - 1) as u8);
        for element in &self.elements {
            out.extend([element.id, element.data.len() as u8]);
            out.extend(&element.data);
        }
    }
}

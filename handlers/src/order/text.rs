//! The rarely read texts of an order in one allocation.

/// One of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Merchant,
    Upstream,
    ClientRef,
    PickupAddress,
    PickupContact,
    DropoffAddress,
    DropoffContact,
    Items,
    /// Ids of orders placed here that turned out to be this one: hexadecimal, with a space between two.
    Former,
}

const PARTS: usize = 9;

/// Nine texts, one behind the other. An empty text is one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    packed: Box<str>,
    ends: [u32; PARTS],
}

impl Text {
    /// The text, if it is there.
    pub(crate) fn get(&self, part: Part) -> Option<&str> {
        let text = self.slice(part as usize);
        (!text.is_empty()).then_some(text)
    }

    /// Sets some texts in one go.
    pub(crate) fn set(&mut self, parts: &[(Part, &str)]) {
        if parts.is_empty() {
            return;
        }
        let added: usize = parts.iter().map(|(_, text)| text.len()).sum();
        let mut packed = String::with_capacity(self.packed.len() + added);
        let mut ends = [0; PARTS];
        for (index, end) in ends.iter_mut().enumerate() {
            let new = parts.iter().rfind(|(part, _)| *part as usize == index);
            packed.push_str(new.map_or_else(|| self.slice(index), |(_, text)| text));
            // A request is at most some kilobytes long.
            *end = packed.len() as u32;
        }
        *self = Self { packed: packed.into_boxed_str(), ends };
    }

    fn slice(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.packed.get(start as usize..self.ends[index] as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_set_one_by_one_and_together() {
        let mut text = Text::default();
        assert_eq!(text.get(Part::Merchant), None);
        text.set(&[(Part::Items, "[1]"), (Part::Merchant, "M7")]);
        text.set(&[(Part::Upstream, "OB-1")]);
        assert_eq!(text.get(Part::Merchant), Some("M7"));
        assert_eq!(text.get(Part::Upstream), Some("OB-1"));
        assert_eq!(text.get(Part::Items), Some("[1]"));
        text.set(&[(Part::Merchant, "a longer name"), (Part::Items, "")]);
        assert_eq!(text.get(Part::Merchant), Some("a longer name"));
        assert_eq!(text.get(Part::Upstream), Some("OB-1"));
        assert_eq!(text.get(Part::Items), None);
    }
}

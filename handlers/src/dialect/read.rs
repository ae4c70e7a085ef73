//! Typed access to the members of a request, under the names of a dialect.
//!
//! Numbers are taken from texts as well: a form has nothing else. An empty text in place of anything else is a member
//! that is not there: PHP sends it so.

use std::{borrow::Cow, fmt::Write, str::FromStr};

use megamind_domain::{Rejection, Time};

use super::{Dialect, Field, node::Node};
use crate::{
    Position,
    id::{MAX_ID, Name, Naming},
    order::Stop,
};

/// The longest free text that is taken, in bytes.
const MAX_TEXT: usize = 2_048;

/// The members of one object.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    node: &'r Node<'r>,
    pub(crate) dialect: &'r Dialect,
    parent: Option<(&'r Reader<'r>, Step)>,
}

/// How an object is reached from the one around it.
#[derive(Clone, Copy)]
enum Step {
    Member(Field),
    Item(Field, usize),
}

impl<'r> Reader<'r> {
    /// Reads the members of `node`.
    pub(crate) fn new(node: &'r Node<'r>, dialect: &'r Dialect) -> Self {
        Self { node, dialect, parent: None }
    }

    /// The names of all members.
    pub(crate) fn member_names(&self) -> impl Iterator<Item = &'r str> {
        let members = match self.node {
            Node::Map(members) => members.as_slice(),
            _ => &[],
        };
        members.iter().map(|(name, _)| &**name)
    }

    /// All of it.
    pub(crate) fn node(&self) -> &'r Node<'r> {
        self.node
    }

    /// The member, unless it is null.
    pub(crate) fn get(&self, field: Field) -> Option<&'r Node<'r>> {
        self.node.get(self.dialect.field(field)).filter(|node| **node != Node::Null)
    }

    /// A member's path in the client's own names.
    pub(crate) fn path(&self, field: Field) -> String {
        let mut path = String::new();
        self.write_path(&mut path);
        path + self.dialect.field(field)
    }

    fn write_path(&self, path: &mut String) {
        let Some((parent, step)) = self.parent else {
            return;
        };
        parent.write_path(path);
        // Writing to a text does not fail.
        let _ = match step {
            Step::Member(field) => write!(path, "{}.", self.dialect.field(field)),
            Step::Item(field, index) => write!(path, "{}.{index}.", self.dialect.field(field)),
        };
    }

    pub(crate) fn missing(&self, field: Field) -> Rejection {
        let path = self.path(field);
        Rejection::new(400, "missing_field", format!("{path} is missing.")).at(path)
    }

    pub(crate) fn wrong(&self, field: Field, expected: &str) -> Rejection {
        let path = self.path(field);
        Rejection::new(400, "wrong_type", format!("{path} must be {expected}.")).at(path)
    }

    fn invalid(&self, field: Field, why: &str) -> Rejection {
        let path = self.path(field);
        Rejection::new(400, "invalid_field", format!("{path} {why}.")).at(path)
    }

    /// A text or a number as text; an empty one is not there.
    fn scalar(&self, field: Field) -> Result<Option<Cow<'r, str>>, Rejection> {
        match self.get(field) {
            None => Ok(None),
            Some(Node::Text(text)) if text.trim().is_empty() => Ok(None),
            Some(Node::Text(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Node::Integer(number)) => Ok(Some(number.to_string().into())),
            Some(Node::Float(number)) => Ok(Some(number.to_string().into())),
            Some(_) => Err(self.wrong(field, "a text")),
        }
    }

    /// A free text.
    pub(crate) fn text(&self, field: Field) -> Result<Option<Box<str>>, Rejection> {
        let Some(text) = self.scalar(field)? else {
            return Ok(None);
        };
        self.check_text(field, &text, MAX_TEXT)?;
        Ok(Some(text.as_ref().into()))
    }

    fn check_text(&self, field: Field, text: &str, limit: usize) -> Result<(), Rejection> {
        if text.len() > limit {
            return Err(self.invalid(field, &format!("is longer than {limit} bytes")));
        }
        // Line ends are a part of addresses.
        let control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
        if text.chars().any(control) {
            return Err(self.invalid(field, "holds control characters"));
        }
        Ok(())
    }

    /// An id as text, and whether it came as a number.
    fn id(&self, field: Field) -> Result<Option<(Box<str>, bool)>, Rejection> {
        let numeric = matches!(self.get(field), Some(Node::Integer(_)));
        let Some(text) = self.scalar(field)? else {
            return Ok(None);
        };
        if text.len() > MAX_ID {
            return Err(self.invalid(field, &format!("is longer than {MAX_ID} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.invalid(field, "holds control characters"));
        }
        Ok(Some((text.trim().into(), numeric)))
    }

    /// The id of a pilot or a merchant.
    pub(crate) fn name(&self, field: Field) -> Result<Option<Name>, Rejection> {
        let id = self.id(field)?;
        Ok(id.map(|(text, numeric)| Name::foreign(text, numeric)))
    }

    /// The id of a pilot or a merchant, which must be there.
    pub(crate) fn required_name(&self, field: Field) -> Result<Name, Rejection> {
        self.name(field)?.ok_or_else(|| self.missing(field))
    }

    /// The id of an order.
    pub(crate) fn order(&self, naming: Naming<'_>) -> Result<Option<Name>, Rejection> {
        let id = self.id(Field::OrderId)?;
        Ok(id.map(|(text, numeric)| Name::order(naming, text, numeric)))
    }

    /// The id of an order, which must be there.
    pub(crate) fn required_order(&self, naming: Naming<'_>) -> Result<Name, Rejection> {
        self.order(naming)?.ok_or_else(|| self.missing(Field::OrderId))
    }

    /// Something that is written as text.
    pub(crate) fn parsed<T: FromStr>(&self, field: Field, expected: &str) -> Result<Option<T>, Rejection> {
        let Some(text) = self.scalar(field)? else {
            return Ok(None);
        };
        let parsed = text.trim().parse();
        parsed.map(Some).map_err(|_| self.wrong(field, expected))
    }

    /// A time.
    pub(crate) fn time(&self, field: Field) -> Result<Option<Time>, Rejection> {
        let Some(text) = self.scalar(field)? else {
            return Ok(None);
        };
        let time = self.dialect.time_format.read(text.trim());
        time.map(Some)
            .ok_or_else(|| self.wrong(field, "a time, such as 2026-01-31T09:30:00+05:30"))
    }

    /// `lat` and `lng`, both or neither.
    pub(crate) fn position(&self) -> Result<Option<Position>, Rejection> {
        let (lat, lng) = (self.degrees(Field::Lat, 90.0)?, self.degrees(Field::Lng, 180.0)?);
        match (lat, lng) {
            (Some(lat), Some(lng)) => Ok(Position::from_degrees(lat, lng)),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(self.missing(Field::Lat)),
            (Some(_), None) => Err(self.missing(Field::Lng)),
        }
    }

    fn degrees(&self, field: Field, limit: f64) -> Result<Option<f64>, Rejection> {
        let degrees = match self.get(field) {
            None => return Ok(None),
            Some(Node::Float(number)) => *number,
            Some(Node::Integer(number)) => *number as f64,
            Some(Node::Text(text)) if text.trim().is_empty() => return Ok(None),
            Some(Node::Text(text)) => text.trim().parse().map_err(|_| self.wrong(field, "a number of degrees"))?,
            Some(_) => return Err(self.wrong(field, "a number of degrees")),
        };
        if (-limit..=limit).contains(&degrees) {
            return Ok(Some(degrees));
        }
        let path = self.path(field);
        let detail = format!("{path} must be between -{limit} and {limit} degrees.");
        Err(Rejection::new(400, "bad_position", detail).at(path))
    }

    /// JSON of the client's own form.
    pub(crate) fn json(&self, field: Field) -> Option<Box<str>> {
        match self.get(field) {
            None => None,
            Some(Node::Text(text)) if text.is_empty() => None,
            Some(node) => Some(node.to_json().into()),
        }
    }

    /// The object under a member.
    pub(crate) fn object(&'r self, field: Field) -> Result<Option<Reader<'r>>, Rejection> {
        match self.get(field) {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Ok(None),
            Some(node @ Node::Map(_)) => {
                Ok(Some(Reader { node, dialect: self.dialect, parent: Some((self, Step::Member(field))) }))
            }
            Some(_) => Err(self.wrong(field, "an object")),
        }
    }

    /// The objects in the list under a member; what is no object is `None`.
    pub(crate) fn items(&'r self, field: Field) -> Result<Option<impl Iterator<Item = Reader<'r>>>, Rejection> {
        let items = match self.get(field) {
            None => return Ok(None),
            Some(Node::List(items)) => items.as_slice(),
            Some(Node::Text(text)) if text.is_empty() => &[],
            Some(_) => return Err(self.wrong(field, "a list")),
        };
        let item = move |(index, node): (usize, &'r Node<'r>)| Reader {
            node,
            dialect: self.dialect,
            parent: Some((self, Step::Item(field, index))),
        };
        Ok(Some(items.iter().enumerate().map(item)))
    }

    /// The texts in the list under a member, or between the commas of its text.
    pub(crate) fn names(&self, field: Field) -> Result<Option<Vec<Name>>, Rejection> {
        let wrong = || self.wrong(field, "a list of ids");
        let name = |node: &Node<'_>| match node {
            Node::Text(text) => Ok(Name::foreign(&**text, false)),
            Node::Integer(number) => Ok(Name::foreign(number.to_string(), true)),
            _ => Err(wrong()),
        };
        match self.get(field) {
            None => Ok(None),
            Some(Node::List(items)) => items.iter().map(name).collect::<Result<_, _>>().map(Some),
            Some(Node::Text(text)) => Ok(Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|id| !id.is_empty())
                    .map(|id| Name::foreign(id, false))
                    .collect(),
            )),
            Some(node) => Ok(Some(vec![name(node)?])),
        }
    }

    /// One end of an order's way.
    pub(crate) fn stop(&'r self, field: Field) -> Result<Option<Stop>, Rejection> {
        let Some(stop) = self.object(field)? else {
            return Ok(None);
        };
        Ok(Some(Stop {
            position: stop.position()?,
            address: stop.text(Field::Address)?,
            contact: stop.json(Field::Contact),
        }))
    }

    /// One end of an order's way, which must be there with its position.
    pub(crate) fn required_stop(&'r self, field: Field) -> Result<Stop, Rejection> {
        let stop = self.stop(field)?.ok_or_else(|| self.missing(field))?;
        if stop.position.is_none() {
            let missing = self
                .object(field)?
                .map_or_else(|| self.missing(field), |object| object.missing(Field::Lat));
            return Err(missing);
        }
        Ok(stop)
    }
}

//! What the way back to the upstream asks of a domain beside its ten methods. All of it is optional: without it every
//! entry is replayed by itself, no request is split, and nothing is compared afterwards.

use megamind_domain::{Domain, Endpoint, EntityKey, Exchange, Rejection, Request, Response, Touches};
pub use megamind_store::{Merged, Told};

/// An entry that may go in a bulk request.
pub struct Member<'a> {
    /// The endpoint of its route.
    pub endpoint: Endpoint,
    /// The request as it was queued.
    pub request: &'a Request,
    /// Its own idempotency key.
    pub key: Option<&'a str>,
}

/// What the upstream said about one member of a bulk request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The status that the member would have had alone.
    pub status: u16,
}

/// What a part of a bulk request was answered.
#[derive(Clone, Copy, Debug)]
pub enum PartSaid<'a> {
    /// The body of a good answer.
    Body(&'a [u8]),
    /// A refusal of all of its items.
    Refused(&'a Rejection),
}

/// The domain's part of the drain.
pub trait Handback<D: Domain>: Send + Sync + 'static {
    /// What follows in the city when the request that created `created` will never be sent; `why` is the operator's
    /// word.
    fn discarded(&self, _domain: &D, _created: &str, _why: &str) -> Option<D::Command> {
        None
    }

    /// The read whose answer tells how the upstream has `subject`, asked once nothing is queued about it any more.
    fn question(&self, _domain: &D, _city: &D::City, _subject: EntityKey) -> Option<(Endpoint, Request)> {
        None
    }

    /// Who may ask so: the subject of their requests ([`megamind_domain::Parsed::subject`]), whose credential the question
    /// carries.
    fn speaker(&self, _domain: &D, _city: &D::City, _subject: EntityKey) -> Option<Box<str>> {
        None
    }

    /// The fields in which the answer to that read differs from the city, for metrics and log.
    fn differences(
        &self,
        _domain: &D,
        _city: &D::City,
        _subject: EntityKey,
        _exchange: &Exchange<D::Command>,
    ) -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether requests of an endpoint may go together.
    fn goes_in_bulk(&self, _domain: &D, _endpoint: Endpoint) -> bool {
        false
    }

    /// One request for all of these, which are of one endpoint; `None` where one of them cannot go so.
    fn bulk(&self, _domain: &D, _members: &[Member<'_>]) -> Option<(Endpoint, Request)> {
        None
    }

    /// What an answer to such a request says about each member; `None` where its form is another.
    fn results(&self, _domain: &D, _body: &[u8], _members: usize) -> Option<Vec<Said>> {
        None
    }

    /// Two values of one slot in one request ([`megamind_domain::Replay::Newest`]); `None` where the later one takes the
    /// place of the earlier one.
    fn merge(&self, _domain: &D, _earlier: Told<'_>, _later: Told<'_>) -> Option<Merged> {
        None
    }

    /// A queued request as it goes out; `None` for one that goes out as it is.
    fn outgoing(&self, _domain: &D, _request: &Request) -> Option<Request> {
        None
    }

    /// Which items of a client's bulk request have to wait for what is queued: those about something fenced, and those
    /// about the same as an earlier one of these. `None` for any other request, which is never split.
    fn fenced_items(
        &self,
        _domain: &D,
        _city: &D::City,
        _command: &D::Command,
        _is_fenced: &dyn Fn(&Touches) -> bool,
    ) -> Option<Vec<bool>> {
        None
    }

    /// A client's bulk request with the items alone that `keep` says, in the form that it came in; `None` where it cannot
    /// be split.
    fn part(&self, _domain: &D, _endpoint: Endpoint, _request: &Request, _keep: &[bool]) -> Option<Request> {
        None
    }

    /// The answer to the whole request, from those to its parts; each part says which items were in it.
    fn merged(&self, _domain: &D, _parts: &[(&[bool], PartSaid<'_>)]) -> Option<Response> {
        None
    }
}

/// A domain that adds nothing.
impl<D: Domain> Handback<D> for () {}

//! What an answer to a replay means for its entry.

use megamind_conf::OnConflict;

/// What is known of the entry that was replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// What it is.
    pub(crate) kind: Kind,
    /// The replay created something that the upstream must have named, and did not.
    pub(crate) unnamed: bool,
    /// An earlier attempt may still be running at the upstream.
    pub(crate) unsettled: bool,
    /// The answer is of the upstream's own form: JSON, not a page of something between.
    pub(crate) in_form: bool,
}

/// How an entry takes a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client's decision, such as a change or a cancellation: it may yield to the upstream's.
    Decision,
    /// A decision that made something: whoever placed it was told yes, so it does not yield.
    Creation,
    /// A physical fact: it never yields.
    Fact,
    /// A request of the gateway's own making: a refusal is counted and blocks nothing.
    Own,
    /// The client was told that the outcome is unknown: any definite answer settles it.
    Unknown,
}

/// What becomes of the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The upstream took it.
    Acknowledged,
    /// The upstream refused it for good, and it yields.
    Yielded(&'static str),
    /// The upstream refused it for good: for the operator.
    Parked(String),
    /// Not now: try again after a pause.
    Again(&'static str),
}

/// Judges a status that has passed the test of failure.
pub(crate) fn judge(status: u16, about: About, on_conflict: OnConflict) -> Verdict {
    match status {
        200..=299 if about.unnamed => Verdict::Again("an answer without an id for what was created"),
        200..=299 => Verdict::Acknowledged,
        409 | 425 if about.unsettled => Verdict::Again("an earlier attempt may still be running"),
        // Nobody decided about this order: these say something about the way, or about the credentials.
        401 | 403 | 405 | 407 | 408 | 421 | 425 | 429 => Verdict::Again("refused for reasons other than its content"),
        404 if !about.in_form => Verdict::Again("a 404 that is not of the upstream's form"),
        400..=499 if about.kind == Kind::Unknown => {
            Verdict::Yielded("refused; its client knows that the outcome was unknown")
        }
        400..=499 if about.kind == Kind::Own => Verdict::Yielded("the upstream does not take this decision"),
        409 if on_conflict == OnConflict::Upstream && about.kind == Kind::Decision => {
            Verdict::Yielded("the upstream decided otherwise")
        }
        400..=499 => Verdict::Parked(format!("the upstream refused it with {status}")),
        _ => Verdict::Again("an answer that is neither acceptance nor refusal"),
    }
}

/// Whether an answer proves that nothing of the request was applied: whoever gave it stands before what would apply it
/// (RFC 9110, 15.5; RFC 8470, 5.2; RFC 6585, 4). Whoever gave up waiting for the rest of a request (408) may have had enough.
pub(crate) fn is_without_effect(status: u16, in_form: bool) -> bool {
    match status {
        401 | 403 | 405 | 407 | 421 | 425 | 429 | 503 => true,
        404 => !in_form,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: About = About { kind: Kind::Decision, unnamed: false, unsettled: false, in_form: true };

    fn check(statuses: &[u16], about: About, expect: fn(&Verdict) -> bool) {
        for status in statuses {
            let verdict = judge(*status, about, OnConflict::Upstream);
            assert!(expect(&verdict), "{status} with {about:?} gave {verdict:?}");
        }
    }

    #[test]
    fn a_definite_refusal_parks() {
        check(&[400, 404, 410, 422], PLAIN, |verdict| matches!(verdict, Verdict::Parked(_)));
    }

    #[test]
    fn what_says_nothing_about_the_content_never_parks() {
        check(&[301, 302, 401, 403, 405, 407, 408, 421, 425, 429, 500, 503], PLAIN, |verdict| {
            matches!(verdict, Verdict::Again(_))
        });
        check(&[404], About { in_form: false, ..PLAIN }, |verdict| matches!(verdict, Verdict::Again(_)));
    }

    #[test]
    fn decisions_yield_to_the_upstream_and_facts_do_not() {
        check(&[409], PLAIN, |verdict| matches!(verdict, Verdict::Yielded(_)));
        check(&[409], About { kind: Kind::Fact, ..PLAIN }, |verdict| {
            matches!(verdict, Verdict::Parked(_))
        });
        check(&[409], About { kind: Kind::Creation, ..PLAIN }, |verdict| {
            matches!(verdict, Verdict::Parked(_))
        });
        assert!(matches!(judge(409, PLAIN, OnConflict::Park), Verdict::Parked(_)));
    }

    #[test]
    fn a_conflict_with_an_attempt_of_our_own_waits() {
        check(&[409, 425], About { unsettled: true, ..PLAIN }, |verdict| {
            matches!(verdict, Verdict::Again(_))
        });
    }

    #[test]
    fn a_refusal_of_our_own_requests_blocks_nothing() {
        check(&[400, 404, 409], About { kind: Kind::Own, ..PLAIN }, |verdict| {
            matches!(verdict, Verdict::Yielded(_))
        });
    }

    #[test]
    fn only_what_stands_before_the_cloud_proves_that_nothing_was_applied() {
        for status in [401, 403, 405, 407, 421, 425, 429, 503] {
            assert!(is_without_effect(status, true), "{status}");
        }
        assert!(is_without_effect(404, false) && !is_without_effect(404, true));
        for status in [200, 201, 302, 408, 409, 500, 501, 504] {
            assert!(!is_without_effect(status, false), "{status}");
        }
    }

    #[test]
    fn an_order_without_a_name_is_not_acknowledged() {
        check(&[200, 201], About { unnamed: true, ..PLAIN }, |verdict| {
            matches!(verdict, Verdict::Again(_))
        });
        check(&[200, 204], PLAIN, |verdict| *verdict == Verdict::Acknowledged);
    }
}

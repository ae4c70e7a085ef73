use super::*;

/// Heads as released versions wrote them. Lines are only ever added: whoever changes one breaks the journals of
/// every city that runs.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn every_released_head_is_read_and_written_alike() {
    for line in GOLDEN.lines() {
        let head: Head<'_> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(String::from_utf8_lossy(&head.encode()), line);
    }
}

#[test]
fn every_kind_is_golden() {
    // A new kind fails to compile here until it has a name, and fails below until it has a line.
    let name = |head: &Head<'_>| match head {
        Head::Decided(_) => "decided",
        Head::Followed(_) => "followed",
        Head::Refused(_) => "refused",
        Head::Unknown(_) => "unknown",
        Head::Observed { .. } => "observed",
        Head::Watched => "watched",
        Head::Sent { .. } => "sent",
        Head::Bundled { .. } => "bundled",
        Head::NotSent { .. } => "not_sent",
        Head::Attempted => "attempted",
        Head::Split { .. } => "split",
        Head::Answered { .. } => "answered",
        Head::Acknowledged { .. } => "acknowledged",
        Head::Parked { .. } => "parked",
        Head::Retry { .. } => "retry",
        Head::Discarded { .. } => "discarded",
        Head::Mode { .. } => "mode",
        Head::Upkeep => "upkeep",
        Head::Sealed { .. } => "sealed",
        Head::Restored { .. } => "restored",
        Head::Released { .. } => "released",
        Head::ClockTrusted { .. } => "clock_trusted",
        Head::Recovered { .. } => "recovered",
    };
    let mut kinds: Vec<_> = GOLDEN
        .lines()
        .map(|line| name(&serde_json::from_str(line).expect("a head")))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 23, "{kinds:?}");
}

#[test]
fn a_head_of_a_later_version_is_an_error_and_not_a_guess() {
    assert!(serde_json::from_str::<Head<'_>>(r#"{"kind":"sent/2","of":1}"#).is_err());
}

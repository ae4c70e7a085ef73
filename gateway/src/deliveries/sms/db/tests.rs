use std::fs;

use megamind_sms::{
    identity::Secret,
    modem::{Change, Content, Inbound, MessageId, Outbound, Outgoing, Priority},
    pdu::{Address, Reference, ServiceTime, Status, StatusReport},
};

use super::*;
use super::{outgoing::Out, schema};
use megamind_sms::modem::Journal as _;

struct Rig {
    folder: tempfile::TempDir,
    db: Db,
}

fn vault(folder: &Path) -> Vault {
    Vault::open(&folder.join("key")).expect("a key")
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("sms.db"), vault(folder.path())).expect("opens");
        Self { folder, db }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sms.db")
    }

    /// All bytes that are on disk.
    fn bytes(&self) -> Vec<u8> {
        let parts = ["sms.db", "sms.db-wal"].map(|name| fs::read(self.folder.path().join(name)).unwrap_or_default());
        parts.concat()
    }

    fn state(&self, row: i64) -> (String, Option<String>) {
        let (out, _) = self.db.log(100).expect("reads");
        let line = out.into_iter().find(|line| line.id == row).expect("is there");
        (line.state, line.channel)
    }

    fn modems(&self, others: bool) -> ModemJournal {
        ModemJournal { db: self.db.clone(), others }
    }

    /// Hands a message to a modem, as far as its records go.
    fn hand_over(&self, row: i64, id: u64, modem: &ModemId) {
        let message = Outgoing {
            to: "+919812345678".parse().expect("a number"),
            text: "x".into(),
            priority: Priority::Normal,
            report: true,
            modem: Some(modem.clone()),
        };
        let change = Change::Queued { message, reference: Reference::Short(1), message_reference: 1 };
        let handed = self.db.hand_over(row, || {
            let record = Outbound { id: MessageId(id), change };
            self.modems(false).outbound(&[record]).map_err(Into::into)
        });
        let _durable = handed.expect("durable");
    }

    fn note(&self, id: u64, change: Change) {
        let record = Outbound { id: MessageId(id), change };
        let _durable = self.modems(false).outbound(&[record]).expect("durable");
    }

    fn report(&self, modem: &ModemId, reference: u8, number: &str, status: u8) {
        let time = ServiceTime([0; 7]);
        let report = StatusReport {
            more_messages: false,
            loop_prevention: false,
            for_command: false,
            message_reference: reference,
            recipient: Address::number(number).expect("a number"),
            timestamp: time,
            discharge: time,
            status: Status(status),
            parameters: Vec::new(),
        };
        let pdu = format!("{reference}{number}{status}");
        let record = Inbound { modem: modem.clone(), pdu, content: Content::Report(report) };
        let _durable = self.modems(false).inbound(&[record]).expect("durable");
    }
}

fn out(text: &str) -> Out {
    Out {
        number: "+919812345678".into(),
        text: text.into(),
        template: 107,
        assignment: false,
        report: true,
        modem: None,
        call: None,
        expires: 1_000_000,
    }
}

fn enrolment() -> Enrolment {
    Enrolment::new("P1", Secret::new(*b"twenty bytes of xyzw"), vec!["+919812345678".into()], "en", false)
}

#[test]
fn secrets_are_on_disk_only_sealed_and_open_with_the_same_key_alone() {
    let rig = Rig::new();
    rig.db.enrol(&enrolment()).expect("enrolled");
    let enrolled = rig.db.enrolments().expect("reads");
    assert_eq!((enrolled.known, enrolled.unreadable), (vec![enrolment()], 0));
    let bytes = rig.bytes();
    for plain in [&b"\"secret\""[..], b"116,119,101,110", b"twenty bytes"] {
        assert!(!bytes.windows(plain.len()).any(|part| part == plain));
    }
    fs::remove_file(rig.folder.path().join("key")).expect("removed");
    let other = Db::open(&rig.path(), vault(rig.folder.path())).expect("opens all the same");
    let enrolled = other.enrolments().expect("reads");
    assert_eq!((enrolled.known.len(), enrolled.unreadable), (0, 1));
    other.enrol(&enrolment()).expect("enrolled again");
    assert_eq!(other.enrolments().expect("reads").unreadable, 0);
}

#[test]
fn plain_rows_of_an_older_version_are_read_and_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sms.db");
    let old = Connection::open(&path).expect("opens");
    old.pragma_update(None, "journal_mode", "WAL").expect("set");
    old.execute_batch(
        "CREATE TABLE enrolment (pilot TEXT PRIMARY KEY, state TEXT NOT NULL);
         CREATE TABLE message (
           id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, number TEXT NOT NULL, text TEXT NOT NULL,
           assignment INTEGER NOT NULL, report INTEGER NOT NULL, only_modem TEXT, call INTEGER, settled INTEGER NOT NULL DEFAULT 0,
           state TEXT NOT NULL DEFAULT 'due', channel TEXT, modem_id INTEGER, reference INTEGER, message_reference INTEGER,
           sent_by TEXT, sent_parts INTEGER NOT NULL DEFAULT 0, sent_reference INTEGER, parts INTEGER NOT NULL,
           doubtful INTEGER NOT NULL DEFAULT 0, error TEXT);
         CREATE INDEX message_open ON message (id) WHERE state IN ('due', 'modem');
         INSERT INTO message (at, number, text, assignment, report, parts) VALUES (5, '+919812345678', 'old', 1, 1, 1);",
    )
    .expect("an older file");
    let plain = serde_json::to_string(&enrolment()).expect("JSON");
    old.execute("INSERT INTO enrolment VALUES ('P1', ?1)", [&plain])
        .expect("written");
    drop(old);
    let db = Db::open(&path, vault(folder.path())).expect("opens");
    assert_eq!(db.enrolments().expect("reads").known, [enrolment()]);
    let due = db.due(10).expect("reads");
    assert_eq!((due.len(), due[0].out.text.as_str(), due[0].out.expires), (1, "old", i64::MAX));
    let rig = Rig { folder, db };
    assert!(
        !rig.bytes().windows(8).any(|part| part == b"\"secret\""),
        "nothing of it is left in the file"
    );
    drop(schema::open(&rig.path()).expect("opens again"));
}

#[test]
fn a_message_is_with_one_channel_at_a_time() {
    let rig = Rig::new();
    let row = rig.db.queue(&out("x"), 1).expect("written").expect("there is room");
    assert_eq!(rig.db.due(1).expect("reads").len(), 1);
    rig.db.sending(row, "provider").expect("written");
    assert!(rig.db.due(1).expect("reads").is_empty());
    // A crash: nobody knows, so no other channel may have it.
    assert_eq!(rig.db.take_up(false).expect("taken up"), 1);
    assert_eq!(rig.db.due(1).expect("reads")[0].doubt.as_deref(), Some("provider"));
    rig.db.in_doubt(row, "no answer", 50).expect("written");
    assert!(rig.db.due(49).expect("reads").is_empty());
    let due = rig.db.due(50).expect("reads");
    assert_eq!((due[0].doubt.as_deref(), due[0].attempts), (Some("provider"), 1));
    // It certainly did not go out: another may.
    rig.db.not_sent(row, "provider", "refused").expect("written");
    let due = rig.db.due(50).expect("reads");
    assert_eq!((due[0].doubt.as_deref(), due[0].avoid.as_slice()), (None, &["provider".to_owned()][..]));
    let modem = ModemId::new("sim1");
    rig.hand_over(row, 7, &modem);
    assert_eq!(rig.state(row), ("modem".into(), Some("sim1".into())));
    assert!(rig.db.due(50).expect("reads").is_empty());
    rig.note(7, Change::Withdrawn);
    assert_eq!(rig.state(row), ("due".into(), None));
    assert!(rig.db.past(50).expect("reads").sending.messages.is_empty());
    assert_eq!(rig.db.expire(1_000_000).expect("written"), 1);
    assert_eq!(rig.state(row).0, "dead");
}

#[test]
fn a_doubt_outlives_a_definite_failure_after_it() {
    let rig = Rig::new();
    let row = rig.db.queue(&out("x"), 1).expect("written").expect("room");
    let modem = ModemId::new("sim1");
    rig.hand_over(row, 7, &modem);
    let doubtful = || rig.db.past(1).expect("reads").sending.messages[0].doubtful;
    let trying = || rig.note(7, Change::Trying { modem: modem.clone(), part: 0, attempts: 0 });
    let failed = || rig.note(7, Change::Failed { modem: modem.clone(), error: "+CMS ERROR 41".into() });
    trying();
    failed();
    assert!(!doubtful());
    trying();
    rig.note(7, Change::Unknown { modem: modem.clone(), part: 0 });
    trying();
    failed();
    assert!(doubtful());
    rig.note(7, Change::Sent { modem: modem.clone(), part: 0, reference: 1 });
    assert_eq!(rig.state(row).0, "sent");
}

#[test]
fn what_is_assumed_to_be_sent_is_sent() {
    let rig = Rig::new();
    let rows: Vec<i64> = (0..2)
        .map(|_| rig.db.queue(&out("x"), 1).expect("written").expect("room"))
        .collect();
    rig.db.sending(rows[0], "provider").expect("written");
    rig.hand_over(rows[1], 7, &ModemId::new("sim1"));
    rig.note(7, Change::Trying { modem: ModemId::new("sim1"), part: 0, attempts: 0 });
    assert_eq!(rig.db.take_up(true).expect("taken up"), 2);
    assert_eq!(rows.iter().map(|row| rig.state(*row).0).collect::<Vec<_>>(), ["sent", "sent"]);
}

#[test]
fn reports_find_their_message_by_modem_reference_and_number() {
    let rig = Rig::new();
    let (one, two) = (ModemId::new("sim1"), ModemId::new("sim2"));
    let long = "a long message of several parts ".repeat(8);
    let row = rig.db.queue(&out(&long), 1).expect("written").expect("room");
    rig.hand_over(row, 7, &one);
    for part in 0..2 {
        rig.note(7, Change::Sent { modem: one.clone(), part, reference: 10 + part as u8 });
    }
    assert_eq!(rig.state(row).0, "sent");
    // Of another modem, another number, another reference: nothing to do with it.
    rig.report(&two, 10, "+919812345678", 0);
    rig.report(&one, 10, "+919812345679", 0);
    rig.report(&one, 99, "+919812345678", 0);
    // One of two parts, then a temporary trouble with the other, then that one too.
    rig.report(&one, 10, "09812345678", 0);
    rig.report(&one, 11, "+919812345678", 0x20);
    assert_eq!(rig.state(row).0, "sent");
    rig.report(&one, 11, "9812345678", 0);
    assert_eq!(rig.state(row).0, "delivered");
    // References come round: the newest is meant.
    let newer = rig.db.queue(&out("short"), 2).expect("written").expect("room");
    rig.hand_over(newer, 8, &one);
    rig.note(8, Change::Sent { modem: one.clone(), part: 0, reference: 10 });
    rig.report(&one, 10, "+919812345678", 0x40);
    assert_eq!((rig.state(row).0, rig.state(newer).0), ("delivered".into(), "undelivered".into()));
}

#[test]
fn a_copy_comes_back_without_sending_what_waited() {
    let rig = Rig::new();
    rig.db.enrol(&enrolment()).expect("enrolled");
    let waits = rig.db.queue(&out("waits"), 1).expect("written").expect("room");
    let image = rig.db.image().expect("an image");
    let there = rig.folder.path().join("back.db");
    fs::write(&there, "what was there before").expect("written");
    assert_eq!(bring_back(&there, &image, 77).expect("back"), 1);
    let aside = rig.folder.path().join("back.db.replaced-77");
    assert_eq!(fs::read(aside).expect("what was there is moved aside"), b"what was there before");
    let back = Db::open(&there, vault(rig.folder.path())).expect("opens");
    assert_eq!(back.enrolments().expect("reads").known, [enrolment()]);
    assert!(back.due(10).expect("reads").is_empty());
    let (log, _) = back.log(10).expect("reads");
    assert_eq!((log[0].id, log[0].state.as_str()), (waits, "dead"));
    let leftovers: Vec<_> = fs::read_dir(rig.folder.path())
        .expect("reads")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(!leftovers.iter().any(|name| name.to_string_lossy().contains("ing")), "{leftovers:?}");
}

#[test]
fn old_messages_go_and_open_ones_stay() {
    let rig = Rig::new();
    let rows: Vec<i64> = (0..2)
        .map(|_| rig.db.queue(&out("x"), 1).expect("written").expect("room"))
        .collect();
    rig.db.sent(rows[0]).expect("written");
    assert_eq!(rig.db.trim(1).expect("trimmed"), 0);
    assert_eq!(rig.db.trim(2).expect("trimmed"), 1);
    let (log, _) = rig.db.log(10).expect("reads");
    assert_eq!(log.iter().map(|line| line.id).collect::<Vec<_>>(), [rows[1]]);
}

#[test]
fn a_modem_s_last_word_is_only_its_own_where_there_are_others() {
    let rig = Rig::new();
    let modem = ModemId::new("sim1");
    let rows: Vec<i64> = (0..2)
        .map(|_| rig.db.queue(&out("x"), 1).expect("written").expect("room"))
        .collect();
    for (row, id) in rows.iter().zip([7, 8]) {
        rig.hand_over(*row, id, &modem);
    }
    let dead = |id| Outbound { id: MessageId(id), change: Change::Dead { error: "+CMS ERROR 69".into() } };
    let _durable = rig.modems(false).outbound(&[dead(7)]).expect("durable");
    let _durable = rig.modems(true).outbound(&[dead(8)]).expect("durable");
    assert_eq!(rig.state(rows[0]).0, "dead");
    let due = rig.db.due(1).expect("reads");
    assert_eq!((due.len(), due[0].row, due[0].attempts), (1, rows[1], 7));
    assert_eq!(due[0].avoid, ["sim1"]);
}

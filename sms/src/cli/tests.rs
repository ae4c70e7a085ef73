use super::*;
use clap::Parser;

#[derive(Parser)]
struct Sms {
    #[command(subcommand)]
    command: Command,
}

/// What `sms ARGS` prints to both outputs; its exit code is 0 exactly when `err` is empty.
fn sms(args: &[&str]) -> (String, String) {
    let command = Sms::try_parse_from(std::iter::once(&"sms").chain(args))
        .expect("valid arguments")
        .command;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = command.run(&mut out, &mut err).expect("writing to memory");
    assert_eq!(code == ExitCode::SUCCESS, err.is_empty());
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(out), text(err))
}

#[test]
fn json_lines_in_the_promised_shape() {
    let (out, _) = sms(&[
        "decode",
        "--json",
        "0791198948004544040C9119894882006200007050307040042206CF35689E9603",
        "not hexadecimal",
        "07914306073011F006270B913426565711F7012081111345400120811174054043",
    ]);
    let expected = concat!(
        r#"{"direction":"deliver","smsc":"+919884005444","number":"+919884280026","text":"Ok sir","alphabet":"gsm7","timestamp":"2007-05-03T07:04:40+05:30","concat":null,"messageReference":null,"status":null}"#,
        "\n",
        r#"{"direction":null,"smsc":null,"number":null,"text":null,"alphabet":null,"timestamp":null,"concat":null,"messageReference":null,"status":null,"error":"an odd number of hexadecimal digits"}"#,
        "\n",
        r#"{"direction":"status-report","smsc":"+34607003110","number":"+43626575117","text":null,"alphabet":null,"timestamp":"2010-02-18T11:31:54+01:00","concat":null,"messageReference":39,"status":67}"#,
        "\n",
    );
    assert_eq!(out, expected);
}

#[test]
fn the_direction_asked_for_is_checked() {
    let pdu = "0791198948004544040C9119894882006200007050307040042206CF35689E9603";
    let (out, _) = sms(&["decode", "--json", "--direction", "submit", pdu]);
    assert!(out.contains(r#""direction":"submit""#), "{out}");
    assert!(out.contains(r#""error":"message type indicator 0 is no submit""#), "{out}");
}

#[test]
fn for_people() {
    let (out, _) = sms(&["decode", "0791198948004544040C9119894882006200007050307040042206CF35689E9603"]);
    assert!(out.contains("text       Ok sir\n"), "{out}");
    assert!(!out.contains("status"), "{out}");
}

#[test]
fn what_is_encoded_decodes() {
    let text = "Ж".repeat(100);
    let (pdus, _) = sms(&["encode", "+4366", &text, "--concat-reference", "300", "--status-report"]);
    let pdus: Vec<&str> = pdus.lines().collect();
    assert_eq!(pdus.len(), 2);
    let (out, _) = sms(&["decode", "--json", pdus[1]]);
    assert!(out.contains(r#""concat":{"reference":300,"total":2,"part":2}"#), "{out}");
    assert!(out.contains(r#""messageReference":1"#), "{out}");

    let (pdu, _) = sms(&[
        "encode",
        "Bank",
        "hi",
        "--direction",
        "deliver",
        "--timestamp",
        "2026-11-21T11:53:07-03:30",
    ]);
    let (out, _) = sms(&["decode", "--json", pdu.trim()]);
    assert!(out.contains(r#""number":"Bank""#), "{out}");
    assert!(out.contains(r#""timestamp":"2026-11-21T11:53:07-03:30""#), "{out}");
}

#[test]
fn exact_fields() {
    // Recorded from a phone book application: class 1, absolute validity.
    let (out, _) = sms(&["encode", "+34616585119", "hola", "--dcs", "0", "--validity", "absolute:01705202519300"]);
    assert_eq!(out, "0019000B914316565811F900000170520251930004E8373B0C\n");
    let (out, _) = sms(&["encode", "655345678", "x", "--dcs", "0", "--udh", "050003880301", "--validity", "170"]);
    assert!(out.contains("AA08050003880301"), "{out}");
}

#[test]
fn what_cannot_be_encoded_says_why() {
    let (out, err) = sms(&["encode", "+12xy", "x"]);
    assert!(out.is_empty());
    assert!(err.starts_with("error: number:"), "{err}");
    let (_, err) = sms(&["encode", "+12", "я", "--dcs", "0"]);
    assert!(err.contains("not in the 7-bit alphabet"), "{err}");
    let (_, err) = sms(&["encode", "+12", "x", "--dcs", "0", "--udh", "07"]);
    assert!(err.contains("header"), "{err}");
}

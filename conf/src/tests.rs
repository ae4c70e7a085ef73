//! What is said about a file, mistake by mistake.

use std::fmt::Write as _;

use super::*;
use crate::value::duration::{HOUR, SECOND, ms, secs};

mod arbitrary;

/// The least that a file must say.
const LEAST: &str = "city = \"blr\"\n[upstream]\nservers = [\"10.0.0.5:80\"]\nidempotency = \"key\"\n";

fn said(text: &str) -> Vec<String> {
    let mistakes = parse("f", text).err().unwrap_or_default();
    mistakes.iter().map(ToString::to_string).collect()
}

/// Asserts all that is said about a text, in order.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(said(text), expect);
}

/// Asserts all that is said about a section that follows the least file; its lines count from 1.
#[track_caller]
fn check_section(section: &str, expect: &[&str]) {
    let said: Vec<_> = parse("f", &format!("{LEAST}{section}"))
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|mistake| {
            let line = mistake.line - LEAST.lines().count();
            format!("{line}:{} {}: {}", mistake.column, mistake.key, mistake.message)
        })
        .collect();
    assert_eq!(said, expect);
}

#[track_caller]
fn valid(section: &str) -> Config {
    parse("f", &format!("{LEAST}{section}")).expect("valid")
}

#[test]
fn the_least_file_takes_the_defaults_of_the_contract() {
    let config = valid("");
    assert_eq!(config.city.as_str(), "blr");
    assert_eq!(config.gateway.listen, ["0.0.0.0:8080".parse().expect("an address")]);
    assert_eq!(config.admin.listen, "127.0.0.1:9900".parse().expect("an address"));
    assert_eq!(config.upstream.connect_timeout, ms(300));
    assert_eq!(config.upstream.response_timeout, secs(2));
    assert_eq!(config.upstream.key_retention, HOUR * 24);
    assert_eq!(config.upstream.failure_status.len(), 13);
    assert_eq!(config.health.interval, SECOND);
    assert_eq!((config.health.fall.get(), config.health.rise.get()), (3, 5));
    assert_eq!(config.health.passive.failure_ratio, Ratio::HALF);
    assert_eq!(config.health.passive.min_requests.get(), 10);
    assert_eq!(config.drain.max_rate, 500);
    assert_eq!(config.drain.max_concurrency.get(), 32);
    assert_eq!(config.dispatch.interval, secs(15));
    assert_eq!(config.shadow.flush, ms(100));
    assert_eq!(config.acting.max_cod_amount.as_str(), "5000");
    assert_eq!(config.acting.max_open_orders_per_merchant, 200);
    assert_eq!(config.auth.mode, AuthMode::Open);
}

#[test]
fn an_empty_file_lacks_what_has_no_default() {
    check(
        "",
        &[
            "f:1:1 city: found nothing, but it has no default and must be set: allowed is 2 to 12 characters of a-z and 0-9",
            "f:1:1 upstream.servers: found nothing, but it has no default and must be set: \
             allowed is a list of at least one; each member host:port, or a URL of http or https without a path",
            "f:1:1 upstream.idempotency: found nothing, but it has no default and must be set: \
             allowed is \"key\", \"lookup\" or \"hold\"",
        ],
    );
}

#[test]
fn all_mistakes_of_a_file_are_named_at_once() {
    let text = r#"city = "Bengaluru!"
[gateway]
listen = 8080
thread = 4
[upstream]
servers = ["10.0.0.5", "https://cloud.example.com"]
connect_timeout = 300
idempotency = "keys"
[health]
fall = 0
[health.passive]
failure_ratio = "50%"
[[route]]
path = "/prices"
policy = "forwards"
[auth]
mode = "jwt"
"#;
    check(
        text,
        &[
            r#"f:1:8 city: found "Bengaluru!", allowed is 2 to 12 characters of a-z and 0-9, did you mean "bengaluru"?"#,
            r#"f:3:10 gateway.listen: found the integer 8080, allowed is an address and a port such as "0.0.0.0:8080" or "[::]:8080", did you mean "0.0.0.0:8080"?"#,
            "f:4:1 gateway.thread: found an unknown key, allowed here: listen, threads, grace, keepalive_timeout, access_log, tls, did you mean threads?",
            r#"f:6:12 upstream.servers[0]: found "10.0.0.5", allowed is host:port, or a URL of http or https without a path, did you mean "10.0.0.5:80"?"#,
            r#"f:7:19 upstream.connect_timeout: found the integer 300, allowed is a duration from "1ms" to "1m", in units of ms, s, m, h or d, did you mean "300ms"?"#,
            r#"f:8:15 upstream.idempotency: found "keys", allowed is "key", "lookup" or "hold", did you mean "key"?"#,
            "f:10:8 health.fall: found the integer 0, allowed is a whole number from 1 to 1000",
            r#"f:12:17 health.passive.failure_ratio: found "50%", allowed is a number from 0.0 to 1.0, did you mean 0.5?"#,
            r#"f:15:10 route[0].policy: found "forwards", allowed is "forward", "act", "local", "cache" or "queue", did you mean "forward"?"#,
            r#"f:17:8 auth.mode: found "jwt", which is not built yet, allowed is "open""#,
        ],
    );
}

#[test]
fn a_diagnostic_has_a_stable_json_form() {
    let mistakes = parse("conf/x.toml", &format!("{LEAST}on_timeout = 1\n")).expect_err("a wrong type");
    assert_eq!(
        serde_json::to_value(&mistakes).expect("JSON"),
        serde_json::json!([{
            "file": "conf/x.toml",
            "line": 5,
            "column": 14,
            "key": "upstream.on_timeout",
            "message": "found the integer 1, allowed is \"act\" or \"wait\"",
        }])
    );
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_the_right_one() {
    let allowed = "listen, threads, grace, keepalive_timeout, access_log, tls";
    check_section(
        "[gateway]\nresponse_timeout = \"1s\"\ninterval = \"1s\"\nxyzzy = 1\n",
        &[
            &format!(
                "2:1 gateway.response_timeout: found an unknown key, allowed here: {allowed}, did you mean upstream.response_timeout?"
            ),
            &format!(
                "3:1 gateway.interval: found an unknown key, allowed here: {allowed}, did you mean health.interval or dispatch.interval?"
            ),
            &format!("4:1 gateway.xyzzy: found an unknown key, allowed here: {allowed}"),
        ],
    );
}

#[test]
fn values_of_a_wrong_type_are_described() {
    check_section(
        "[gateway]\naccess_log = \"yes\"\nthreads = 1.5\ngrace = []\ntls = true\n[store]\nmax_queue_bytes = 67108864\npath = 1979-05-27\n[log]\nlevel = {}\n",
        &[
            "2:14 gateway.access_log: found \"yes\", allowed is true or false, did you mean true?",
            "3:11 gateway.threads: found the number 1.5, allowed is a whole number from 0 to 1024",
            "4:9 gateway.grace: found a list, allowed is a duration from \"0s\" to \"1h\", in units of ms, s, m, h or d",
            "5:7 gateway.tls: found the boolean true, allowed is a table, [gateway.tls]",
            "7:19 store.max_queue_bytes: found the integer 67108864, allowed is a size from \"64KiB\" to \"64GiB\", in units of B, KiB, MiB or GiB, did you mean \"64MiB\"?",
            "8:8 store.path: found the time 1979-05-27, allowed is the path of a file",
            "10:9 log.level: found a table, allowed is \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    );
    check_section("[[health]]\n", &["1:1 health: found a list, allowed is a table, [health]"]);
    check(
        "city = \"blr\"\nroute = 3\n[upstream]\nservers = [\"a:1\"]\nidempotency = \"key\"\n",
        &["f:2:9 route: found the integer 3, allowed is a list of tables, [[route]]"],
    );
}

#[test]
fn what_a_broken_section_lacks_is_not_missed() {
    check(
        "city = \"blr\"\nupstream = 3\n",
        &["f:2:12 upstream: found the integer 3, allowed is a table, [upstream]"],
    );
    check_section(
        "[x]\n\"a b\" = 1\n[dialect.envelope]\ndata = \"d\"\nfields = { \"a.b\" = [] }\n",
        &[
            "1:2 x: found an unknown key, allowed here: city, gateway, admin, log, upstream, health, route, dialect, auth, store, orders, idempotency, ids, drain, shadow, acting, dispatch, callbacks, merchant, sms, modem, backup",
            "5:20 dialect.envelope.fields.\"a.b\": found a list, allowed is a string, a whole number, or true or false",
        ],
    );
}

#[test]
fn a_list_with_a_lost_member_is_not_judged_further() {
    check(
        "city = \"blr\"\nroute = [3, { path = \"/x\", policy = \"act\" }]\nupstream = { servers = [\"a:1\"], idempotency = \"key\" }\n",
        &["f:2:10 route[0]: found the integer 3, allowed is a table, [[route]]"],
    );
}

#[test]
fn an_admin_listener_beyond_loopback_needs_a_token() {
    check_section(
        "[admin]\nlisten = \"0.0.0.0:9900\"\n",
        &[
            "1:1 admin.token_file: found nothing, but 0.0.0.0:9900 is reached from beyond this machine: allowed is the path of a file with the token",
        ],
    );
    valid("[admin]\nlisten = \"[::1]:9900\"\n");
    valid("[admin]\nlisten = \"0.0.0.0:9900\"\ntoken_file = \"token\"\n");
}

#[test]
fn no_two_listeners_take_one_address() {
    // The default of the other listener is not written anywhere: what is written is to blame.
    check_section(
        "[gateway]\nlisten = [\"127.0.0.1:80\", \"0.0.0.0:9900\"]\n",
        &[
            "2:10 gateway.listen: found 0.0.0.0:9900, which admin.listen takes with 127.0.0.1:9900; allowed is an address of its own",
        ],
    );
    check_section(
        "[admin]\nlisten = \"127.0.0.1:8080\"\n",
        &[
            "2:10 admin.listen: found 127.0.0.1:8080, which gateway.listen takes with 0.0.0.0:8080; allowed is an address of its own",
        ],
    );
    valid("[gateway]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n");
}

#[test]
fn a_lookup_must_say_how() {
    let text = LEAST.replace("\"key\"", "\"lookup\"");
    check(
        &text,
        &[
            "f:4:15 upstream.idempotency: found \"lookup\" without [upstream.lookup], which says how to ask; allowed without it is \"key\" or \"hold\"",
        ],
    );
    let lookup = "[upstream.lookup]\npath = \"/findOrder\"\nmatch = [\"clientRef\"]\nfound = \"/id\"\n";
    let config = parse("f", &format!("{text}{lookup}")).expect("valid");
    let lookup = config.upstream.lookup.expect("a lookup");
    assert_eq!((lookup.method, lookup.match_fields.len()), (LookupMethod::Get, 1));
}

#[test]
fn servers_are_all_alike_and_each_its_own() {
    check_section(
        "[upstream.tls]\nca = \"ca.pem\"\n",
        &[
            "1:1 upstream.tls: found TLS settings, but upstream.servers speak plain HTTP; allowed with them are servers with https://",
        ],
    );
    check(
        "city = \"blr\"\nupstream.servers = [\"a:80\", \"https://b\"]\nupstream.idempotency = \"key\"\n",
        &["f:2:20 upstream.servers: found servers with and without TLS, allowed are all with http or all with https"],
    );
    check(
        "city = \"blr\"\nupstream.servers = [\"a:80\", \"a:80\"]\nupstream.idempotency = \"key\"\n",
        &["f:2:29 upstream.servers[1]: found \"a:80\", which upstream.servers[0] is already; allowed is each one once"],
    );
}

#[test]
fn routes_need_somebody_who_answers() {
    check_section(
        "[[route]]\npath = \"/prices\"\npolicy = \"act\"\n[[route]]\npath = \"/prices/\"\npolicy = \"forward\"\nstale_for = \"1h\"\n[[route]]\npath = \"/score\"\npolicy = \"local\"\n",
        &[
            "3:10 route[0].policy: found \"act\" for /prices, which no handler answers; allowed is \"forward\", \"cache\" or \"queue\"",
            "5:8 route[1].path: found \"/prices\", which route[0] is already; allowed is each one once",
            "7:13 route[1].stale_for: found with policy = \"forward\", allowed only with \"cache\"",
        ],
    );
    // Under a base path, the endpoint is elsewhere.
    check_section(
        "[dialect]\nbase_path = \"/v2\"\n[[route]]\npath = \"/score\"\npolicy = \"local\"\n[[route]]\npath = \"/v2/score\"\npolicy = \"act\"\n",
        &[
            "5:10 route[0].policy: found \"local\" for /score, which no handler answers; allowed is \"forward\", \"cache\" or \"queue\"",
        ],
    );
}

#[test]
fn timeouts_that_exclude_each_other_are_refused() {
    let text = LEAST.to_owned() + "[drain]\nbackoff = \"1m\"\n";
    check(
        &text,
        &["f:6:11 drain.backoff: found more than drain.max_backoff, allowed is at most that"],
    );
}

#[test]
fn a_success_rule_must_ask_for_something() {
    check_section(
        "[upstream.success]\nvalues = [true]\n",
        &[
            "1:1 upstream.success.pointer: found a section that asks for nothing, allowed is at least one of status, content_type, pointer",
            "2:10 upstream.success.values: found values without upstream.success.pointer, allowed are both",
        ],
    );
    let config = valid("[upstream.success]\npointer = \"/ok\"\nvalues = [true, 1, \"yes\"]\n");
    let success = config.upstream.success.expect("a rule");
    assert_eq!(success.values, [Scalar::Flag(true), Scalar::Integer(1), Scalar::Text("yes".to_owned())]);
}

#[test]
fn a_dialect_keeps_its_names_apart() {
    check_section(
        "[dialect]\ntime_format = \"%Y-%m-%d\"\nbase_path = \"/v2/\"\n[dialect.fields]\norderid = \"order_id\"\nminionId = \"merchantId\"\n[dialect.statuses]\ndelivered = \"done\"\npicked_up = \"done\"\n[dialect.paths]\n\"/placeorder\" = \"/x\"\n\"/trackOrder\" = \"track\"\n[dialect.envelope]\ndata = \"ok\"\nfields = { ok = true, bad = [1] }\n[dialect.envelope.error]\nmessage = \"m\"\ncode = \"m\"\n",
        &[
            r#"2:15 dialect.time_format: found "%Y-%m-%d", allowed is "rfc3339", "unix", "unix_ms", or a strftime pattern that carries date and time such as "%Y-%m-%d %H:%M:%S""#,
            r#"3:13 dialect.base_path: found "/v2/", allowed is "", or a path without a slash at its end such as "/api/v2", did you mean "/v2"?"#,
            "5:1 dialect.fields.orderid: found an unknown name, allowed is one of those that conf/REFERENCE.md lists, did you mean orderId?",
            r#"6:12 dialect.fields.minionId: found "merchantId", which is already the name of merchantId; allowed is a name of its own"#,
            r#"8:13 dialect.statuses.delivered: found "done", which is already the name of picked_up; allowed is a name of its own"#,
            r#"9:13 dialect.statuses.picked_up: found "done", which is already the name of delivered; allowed is a name of its own"#,
            r#"11:1 dialect.paths."/placeorder": found an unknown name, allowed is one of those that conf/REFERENCE.md lists, did you mean "/placeOrder"?"#,
            r#"12:17 dialect.paths."/trackOrder": found "track", allowed is a path such as "/healthz", did you mean "/track"?"#,
            r#"14:8 dialect.envelope.data: found "ok", which dialect.envelope.fields sets too; allowed is a name of its own"#,
            "15:29 dialect.envelope.fields.bad: found a list, allowed is a string, a whole number, or true or false",
            "18:8 dialect.envelope.error.code: found a name that another member has; allowed is a name of its own",
        ],
    );
}

#[test]
fn a_dialect_knows_its_wire_paths() {
    let config = valid("[dialect]\nbase_path = \"/v2\"\n[dialect.paths]\n\"/placeOrder\" = \"/orders/new\"\n");
    assert_eq!(config.dialect.wire_path("/placeOrder"), "/v2/orders/new");
    assert_eq!(config.dialect.wire_path("/score"), "/v2/score");
}

#[test]
fn a_reserved_range_can_be_found() {
    let range = |text: &str| valid(&format!("[ids]\n{text}")).ids.range();
    assert_eq!(range(""), None);
    assert_eq!(range("form = \"integer\""), Some((900_000_000_000, 900_999_999_999)));
    assert_eq!(range("first = 71000000\nlast = 71999999"), Some((71_000_000, 71_999_999)), "once given");
    check_section(
        "[ids]\nfirst = 7000\nlast = 6000\n",
        &["3:8 ids.last: found 7000 to 6000, allowed is a last number that is not below the first"],
    );
    let alike = "allowed is a range whose numbers have as many digits and begin with the same two";
    check_section(
        "[ids]\nfirst = 7000\nlast = 7900\n",
        &[&format!("3:8 ids.last: found 7000 to 7900, {alike}")],
    );
    check_section(
        "[ids]\nfirst = 7000\nlast = 70000\n",
        &[&format!("3:8 ids.last: found 7000 to 70000, {alike}")],
    );
}

#[test]
fn what_is_not_built_is_an_error() {
    check_section(
        "[auth]\nmode = \"jwt\"\n",
        &["2:8 auth.mode: found \"jwt\", which is not built yet, allowed is \"open\""],
    );
    valid("[callbacks]\nallow = [\"10.0.0.0/8\", \"*.example.com\"]\n");
}

#[test]
fn broken_toml_is_named_by_line_and_key() {
    // What follows a broken header belongs nowhere, and is not blamed for that.
    check(
        "[gateway]\nlisten = 0.0.0.0:80\nthreads = \"2\"\n[admin\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"info\"\nlevel = \"warn\"\nformat =\n",
        &[
            "f:2:13 gateway.listen: found `.0.0:80`, allowed is TOML here: invalid float, expected nothing",
            "f:3:11 gateway.threads: found \"2\", allowed is a whole number from 0 to 1024, did you mean 2?",
            "f:4:7 syntax: found the end of the line, allowed is TOML here: unclosed table, expected `]`",
            "f:8:1 log.level: found `level = \"warn\"`, allowed is TOML here: duplicate key",
            "f:9:9 log.format: found the end of the line, allowed is TOML here: string values must be quoted, expected literal string",
        ],
    );
    check(
        "[upstream]\nservers = [\"a:1\"\nidempotency = \"key\"\n[log]\nlevel = 3\n",
        &[
            "f:3:1 upstream.idempotency: found `idempotency = \"key\"`, allowed is TOML here: missing comma between array elements, expected `,`",
        ],
    );
}

/// Every key that the contract names, with the values that it shows.
const CONTRACT: &str = r#"
city = "blr"
[gateway]
listen = "0.0.0.0:8080"
threads = 0
[admin]
listen = "127.0.0.1:9900"
[upstream]
servers = ["10.0.0.5:80"]
connect_timeout = "300ms"
response_timeout = "2s"
on_timeout = "act"
failure_status = [500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530]
idempotency = "key"
key_retention = "24h"
[upstream.success]
status = [200, 201]
content_type = "application/json"
pointer = "/ok"
values = [true]
[upstream.lookup]
method = "GET"
path = "/findOrder"
match = ["merchantId", "clientRef"]
found = "/orders/0/orderId"
[health]
path = "/healthz"
interval = "1s"
timeout = "500ms"
fall = 3
rise = 5
[health.passive]
window = "10s"
failure_ratio = 0.5
min_requests = 10
[store]
path = "megamind.db"
[auth]
mode = "learned"
[drain]
max_rate = 500
max_concurrency = 32
bulk_size = 200
[dispatch]
auto = true
interval = "15s"
[shadow]
flush = "100ms"
refresh = "60s"
[acting]
max_cod_amount = "5000"
max_open_orders_per_merchant = 200
[callbacks]
allow = ["10.0.0.0/8", "*.example.com"]
[[modem]]
name = "sim1"
device = "/dev/serial/by-id/..."
baud = 115200
pin_file = "/etc/megamind/sim1.pin"
[[route]]
path = "/catalogue/*"
policy = "cache"
stale_for = "1h"
invalidated_by = ["/catalogue/*"]
"#;

#[test]
fn every_key_of_the_contract_is_known() {
    let mistakes = parse("f", CONTRACT).expect_err("some of it is not built yet");
    for mistake in mistakes {
        assert!(mistake.message.contains("not built yet"), "{mistake}");
    }
}

#[test]
fn positions_count_characters() {
    check(
        "city = \"blr\" # ü\r\nupstream = { servers = [\"é:80\", \"x:0\"], idempotency = \"key\" }\r\n",
        &[
            "f:2:25 upstream.servers[0]: found \"é:80\", allowed is host:port, or a URL of http or https without a path",
            "f:2:33 upstream.servers[1]: found \"x:0\", allowed is host:port, or a URL of http or https without a path",
        ],
    );
}

#[test]
fn a_file_that_is_none_is_a_diagnostic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("megamind.toml");
    let key_and_message = || {
        let [mistake] = load(&path).expect_err("no file").try_into().expect("one mistake");
        let Diagnostic { line, column, key, message, .. } = mistake;
        format!("{line}:{column} {key}: {message}")
    };
    assert!(
        key_and_message().starts_with("1:1 file: found a file which cannot be read (No such file"),
        "{}",
        key_and_message()
    );
    std::fs::write(&path, b"city = \"blr\"\n# \xff\n").expect("written");
    assert_eq!(key_and_message(), "2:3 file: found bytes that are no text, allowed is TOML in UTF-8");
    std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).expect("written");
    assert_eq!(key_and_message(), "1:1 file: found a file which is larger than allowed, 1048576 bytes");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_answered_in_bounds() {
    let mut text = String::from(LEAST);
    for index in 0..40_000 {
        let _ = writeln!(text, "k{index} = 1");
    }
    let mistakes = said(&text);
    assert_eq!(mistakes.len(), 500);
}

//! Whatever the file holds, the answer is a configuration or diagnostics.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::{example, parse, reference};

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,400}") {
        let _ = parse("f", &text);
    }

    #[test]
    fn no_toml_panics(text in "(\\[{1,2}[a-z.]{1,6}\\]{1,2}|[a-z]{1,5} = (\"[a-z0-9:/%.*\\[\\]]{0,8}\"|[0-9.\\-]{1,5}|\\[1, \"a\"\\]|true|\\{a = 1\\})|\n){0,20}") {
        let _ = parse("f", &text);
    }

    /// A slip of the pen anywhere in a good file is found or harmless, and points into the file.
    #[test]
    fn no_slip_panics(at in 0_usize..20_000, length in 0_usize..12, put in "[a-z\"\\[\\]={}.0-9\n]{0,4}") {
        let mut text: Vec<char> = example().chars().collect();
        let start = at % text.len();
        let end = (start + length).min(text.len());
        text.splice(start..end, put.chars());
        let text: String = text.into_iter().collect();
        for mistake in parse("f", &text).err().unwrap_or_default() {
            prop_assert!(mistake.line <= text.lines().count() + 1);
        }
    }

    /// Any value is taken or refused by any key.
    #[test]
    fn no_value_panics(value in "(\"[ -~&&[^\"\\\\]]{0,12}\"|-?[0-9]{1,20}|[0-9]{1,4}\\.[0-9]{1,4}|inf|nan|\\[\\]|\\[\"\"\\]|\\{\\})") {
        let mut text = String::new();
        for key in reference::keys() {
            let _ = writeln!(text, "{key} = {value}");
        }
        let _ = parse("f", &text);
    }
}

//! The parameters of an information response: `+CPMS: "SM",3,20,,"ME"`.

/// An iterator over the parameters of a line, without their quotes. Created by [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: Option<&'a str>,
}

/// The parameters behind `prefix` and its white space; `None` for another line. `prefix` is
/// written with its colon.
pub fn fields<'a>(line: &'a str, prefix: &str) -> Option<Fields<'a>> {
    let rest = line.trim().strip_prefix(prefix)?.trim_start();
    Some(Fields { rest: (!rest.is_empty()).then_some(rest) })
}

impl Fields<'_> {
    /// The next parameter as a number.
    pub fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.next()?.parse().ok()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    /// A comma inside of quotes belongs to the parameter; a missing end quote ends the line.
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?.trim_start();
        let (value, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        self.rest = behind.find(',').map(|comma| &behind[comma + 1..]);
        Some(value.trim())
    }
}

//! The texts that go out unasked, in one file: `templates.toml`.

use serde::Deserialize;

use super::{OrderLine, fit};

/// What a text is about. Its number is the template's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new order.
    Assign,
    /// Something about an order changed.
    Change,
    /// An order is taken back.
    Cancel,
    /// The commands.
    Help,
    /// A modem asks another whether it lives.
    Probe,
    /// The answer to a message.
    Answer,
    /// What an operator has to say.
    Notice,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Assign,
        Self::Change,
        Self::Cancel,
        Self::Help,
        Self::Probe,
        Self::Answer,
        Self::Notice,
    ];
}

/// One text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its number, for people and registers.
    pub number: u16,
    /// What it is about.
    pub kind: Kind,
    /// The language, ISO 639-1.
    pub language: String,
    /// The id under which a provider or regulator knows it (India: DLT); empty where there is none.
    #[serde(default)]
    pub template_id: String,
    /// The text in GSM-7. `{order}` stands for the order's line.
    pub text: String,
    /// The text in the language's own letters, for phones that are set so. Short: 70 characters carry it all.
    pub native: String,
}

/// All texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

/// What is wrong with the file of templates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("templates: {0}")]
pub struct TemplatesError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    template: Vec<Template>,
}

impl Templates {
    /// Reads a file; every kind has to be there in English.
    ///
    /// # Errors
    /// Where it is not TOML, says a number twice, lacks a kind, or a text does not go as one message.
    pub fn parse(text: &str) -> Result<Self, TemplatesError> {
        let File { template } = toml::from_str(text).map_err(|error| TemplatesError(error.to_string()))?;
        for (at, one) in template.iter().enumerate() {
            if template[..at].iter().any(|other| other.number == one.number) {
                return Err(TemplatesError(format!("number {} is there twice", one.number)));
            }
            if fit::septets(&one.text).is_none() || !fit::fits(&one.text) || one.native.encode_utf16().count() > 70 {
                return Err(TemplatesError(format!("number {} does not go as one message", one.number)));
            }
        }
        for kind in Kind::ALL {
            if !template.iter().any(|one| one.kind == kind && one.language == "en") {
                return Err(TemplatesError(format!("{kind:?} is missing in English")));
            }
        }
        Ok(Self(template))
    }

    /// The texts that come with the program.
    pub fn built_in() -> Self {
        // A test reads the file.
        Self::parse(include_str!("templates.toml")).unwrap_or(Self(Vec::new()))
    }

    /// The text of a kind in a language, else in English.
    pub fn get(&self, kind: Kind, language: &str) -> Option<&Template> {
        let find = |language: &str| self.0.iter().find(|one| one.kind == kind && one.language == language);
        find(language).or_else(|| find("en"))
    }

    /// Under which a provider or regulator knows the text of a number; empty where it does not.
    pub fn id_of(&self, number: u16) -> &str {
        self.0
            .iter()
            .find(|one| one.number == number)
            .map_or("", |one| &one.template_id)
    }

    /// The number of a kind's text in a language.
    pub fn number_of(&self, kind: Kind, language: &str) -> u16 {
        self.get(kind, language).map_or(0, |one| one.number)
    }

    /// The text about an order, as one message.
    pub fn about(&self, kind: Kind, language: &str, ucs2: bool, line: &OrderLine) -> String {
        let pattern = self.plain(kind, language, ucs2);
        let (head, address, tail) = line.parts(ucs2);
        let (before, after) = pattern.split_once("{order}").unwrap_or((&pattern, ""));
        fit::shorten(&format!("{before}{head}"), &address, format!("{tail}{after}").trim())
    }

    /// The text of a kind without an order.
    pub fn plain(&self, kind: Kind, language: &str, ucs2: bool) -> String {
        let template = self.get(kind, language);
        template.map_or_else(String::new, |one| if ucs2 { one.native.clone() } else { one.text.clone() })
    }
}

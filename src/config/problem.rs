//! What is said about settings that are wrong or unwise: where it was written, what is wrong, what to write instead.

use std::fmt;

use super::table::Setting;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line; the flag without dashes.
    Flag(&'static str),
    /// In the environment; the variable's name.
    Environment(String),
    /// In the settings file; the file's name and the key (empty for the file as a whole).
    File(String, String),
    /// Nowhere: the default applies; the setting's flag and variable, to name what could be written.
    Default(&'static Setting),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(file, key) if key.is_empty() => f.write_str(file),
            Self::File(file, key) => write!(f, "{file}: {key}"),
            Self::Default(setting) if setting.secrecy == super::table::Secrecy::Secret => f.write_str(setting.env),
            Self::Default(setting) => write!(f, "--{} ({})", setting.flag, setting.env),
        }
    }
}

/// One reason not to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// What is wrong; never quotes a secret.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl Problem {
    /// Whether it is about this setting.
    pub fn is_about(&self, setting: &Setting) -> bool {
        match &self.place {
            Place::Flag(flag) => *flag == setting.flag,
            Place::Environment(name) => {
                *name == setting.env
                    || Some(name) == setting.env_file().as_ref()
                    || Some(name.as_str()) == setting.env_fallback
            }
            Place::File(_, key) => *key == setting.key() || Some(key) == setting.key_file().as_ref(),
            Place::Default(one) => one.flag == setting.flag,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {}", self.instead) }
    }
}

/// Something that works and that an operator should still know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it was written.
    pub place: Place,
    /// What to know about it.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

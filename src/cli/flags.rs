//! Settings as flags: the command line's part of [`crate::config::table`], made from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::Overrides;
use crate::config::table::{Default, Kind, SETTINGS, Secrecy, Setting, UsedBy};

/// The flags of one group of commands, read.
#[derive(Clone, Debug)]
pub(super) struct Flags<G>(pub(super) Overrides, PhantomData<G>);

/// Which settings a group of commands takes as flags.
pub(super) trait Group {
    fn takes(used_by: UsedBy) -> bool;
}

/// `dev`, `serve` and `check` take all.
#[derive(Clone, Debug)]
pub(super) struct Server;

/// Commands that work on the database.
#[derive(Clone, Debug)]
pub(super) struct Store;

/// Commands that look for the server.
#[derive(Clone, Debug)]
pub(super) struct Address;

impl Group for Server {
    fn takes(_: UsedBy) -> bool {
        true
    }
}

impl Group for Store {
    fn takes(used_by: UsedBy) -> bool {
        matches!(used_by, UsedBy::Every | UsedBy::Store)
    }
}

impl Group for Address {
    fn takes(used_by: UsedBy) -> bool {
        matches!(used_by, UsedBy::Every | UsedBy::Address)
    }
}

fn settings<G: Group>() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().copied().filter(|setting| G::takes(setting.used_by))
}

impl<G: Group> Args for Flags<G> {
    fn augment_args(command: Command) -> Command {
        settings::<G>()
            .filter(|setting| setting.secrecy != Secrecy::Secret)
            .fold(command, |command, setting| command.arg(arg(setting).help_heading("Settings")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: Group> FromArgMatches for Flags<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = settings::<G>().filter_map(|setting| {
            let values = matches.try_get_many::<String>(setting.flag).ok().flatten()?;
            Some((setting.flag, values.cloned().collect()))
        });
        Ok(Self(Overrides(given.collect::<BTreeMap<_, _>>()), PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn arg(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.flag).long(setting.flag).value_name(setting.value_name).help(help(setting));
    match setting.kind {
        Kind::One => arg.action(ArgAction::Set),
        Kind::Many => arg.action(ArgAction::Append),
        Kind::Switch => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true),
    }
}

fn help(setting: &Setting) -> String {
    let mut text = setting.meaning.to_owned();
    if setting.kind == Kind::Many {
        text.push_str(" May be repeated.");
    }
    let _ = write!(text, " [env: {}]", setting.env);
    if setting.default != Default::None {
        let _ = write!(text, " [default: {}]", setting.default_text());
    }
    if let Some(dev) = setting.dev_default {
        let _ = write!(text, " [dev: {dev}]");
    }
    text
}

/// The settings that are no flags, for the end of a help text.
pub(super) fn secrets_help<G: Group>() -> String {
    let mut text = String::from("Secrets, from the environment or the settings file alone:\n");
    for setting in settings::<G>().filter(|setting| setting.secrecy == Secrecy::Secret) {
        let default = setting
            .dev_default
            .map_or_else(|| setting.default_text().to_owned(), |dev| format!("{}; dev: {dev}", setting.default_text()));
        let twin = setting.env_file().unwrap_or_default();
        let _ = write!(text, "  {} (or {twin}, a file)\n      {} [default: {default}]\n", setting.env, setting.meaning);
    }
    text
}

//! The settings of the server, in one scheme: a flag counts for more than a variable of the environment, that for more than
//! the file, and that for more than the default.
//!
//! A setting has one name in three spellings: `--connections-max`, `TAPEBOOK_CONNECTIONS_MAX`, and `connections_max` in the file, which is
//! TOML without sections. A name that does not exist is refused, and the nearest one is named.

mod file;
mod kind;
mod list;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::Arg;
use clap::{ArgMatches, Command};

pub(crate) use self::list::{JOURNAL_RETENTION, SETTINGS, Setting, Settings};
use crate::args::Shared;
use crate::error::CliError;
use crate::retention;

const CONFIG_VARIABLE: &str = "TAPEBOOK_CONFIG";
/// Flags that every command has.
const OF_EVERY_COMMAND: [&str; 2] = [DATA, RETENTION];
const DATA: &str = "data";
const RETENTION: &str = "retention";
/// Edits between a mistyped name and the one that was meant.
const EDITS_MAX: usize = 3;

/// The settings as flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingArgs {
    config: Option<PathBuf>,
    given: Vec<(&'static str, String)>,
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Every value, with where it comes from.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub settings: Settings,
    origins: Vec<Origin>,
    /// Variables that look like settings and are none.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// Settings in order, with their values and origins.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Setting, String, &Origin)> {
        SETTINGS
            .iter()
            .zip(&self.origins)
            .map(|(setting, origin)| (setting, (setting.show)(&self.settings), origin))
    }
}

impl SettingArgs {
    /// Puts together flags, environment, file and defaults.
    pub(crate) fn resolve(&self, shared: &Shared) -> Result<Resolved, CliError> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("TAPEBOOK_"))?;
            Some((name, value.to_string_lossy().into_owned())).filter(|(_, value)| !value.is_empty())
        });
        let mut given = self.given.clone();
        given.extend(shared.data.as_ref().map(|data| (DATA, data.display().to_string())));
        given.extend(shared.retention_flag().map(|retention| (RETENTION, retention::show(retention))));
        resolve(self.config.as_deref(), &environment.collect::<Vec<_>>(), &given)
    }
}

/// The same from what it is given.
fn resolve(
    config: Option<&Path>,
    environment: &[(String, String)],
    flags: &[(&'static str, String)],
) -> Result<Resolved, CliError> {
    let mut settings = Settings::default();
    let mut origins = vec![Origin::Default; SETTINGS.len()];
    let mut set = |place: usize, text: &str, origin: Origin| {
        let setting: &Setting = &SETTINGS[place];
        (setting.set)(&mut settings, text).map_err(|expected| {
            CliError::usage(format!("{} = {text:?} ({origin}): {expected}", setting.key()))
        })?;
        origins[place] = origin;
        Ok::<_, CliError>(())
    };
    let variable = |name: &str| environment.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    let config = config.map(Path::to_owned).or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    if let Some(path) = &config {
        for file::Entry { key, text, line } in file::read(path)? {
            let place = SETTINGS.iter().position(|setting| setting.key() == key);
            let place = place.ok_or_else(|| unknown(path, line, &key))?;
            set(place, &text, Origin::File { path: path.clone(), line })?;
        }
    }
    for (place, setting) in SETTINGS.iter().enumerate() {
        if let Some(text) = variable(&setting.variable()) {
            set(place, text, Origin::Variable(setting.variable()))?;
        }
        if let Some((_, text)) = flags.iter().find(|(flag, _)| *flag == setting.flag) {
            set(place, text, Origin::Flag(setting.flag))?;
        }
    }
    let warnings = environment.iter().filter_map(|(name, _)| suspicious(name)).collect();
    Ok(Resolved { settings, origins, warnings })
}

fn unknown(path: &Path, line: usize, key: &str) -> CliError {
    let place = path.display();
    let advice = match nearest(key, SETTINGS.iter().map(Setting::key)) {
        Some(name) => format!("did you mean {name}?"),
        None => "`tapebook config show` lists all".to_owned(),
    };
    CliError::usage(format!("{place} line {line}: there is no setting {key:?}; {advice}"))
}

/// What to say about a variable that is nearly one of ours. Others with our prefix belong to somebody: an orchestrator that knows a
/// service `tapebook` sets `TAPEBOOK_PORT` and the like.
fn suspicious(name: &str) -> Option<String> {
    let ours = || SETTINGS.iter().map(Setting::variable);
    if ours().any(|known| known == name) {
        return None;
    }
    let nearest = nearest(name, ours()).filter(|known| strsim::levenshtein(known, name) < EDITS_MAX)?;
    Some(format!("the variable {name} is no setting; did you mean {nearest}?"))
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let (distance, known) = known
        .map(|known| (strsim::levenshtein(&known, name), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= EDITS_MAX).then_some(known)
}

impl clap::FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter(|setting| !OF_EVERY_COMMAND.contains(&setting.flag)).filter_map(
            |setting| matches.get_one::<String>(setting.flag).map(|text| (setting.flag, text.clone())),
        );
        Ok(Self { config: matches.get_one::<PathBuf>("config").cloned(), given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!("A file of settings in TOML [env: {CONFIG_VARIABLE}]"));
        let defaults = Settings::default();
        let flags =
            SETTINGS.iter().filter(|setting| !OF_EVERY_COMMAND.contains(&setting.flag)).map(|setting| {
                let default = (setting.show)(&defaults);
                let default = if default.is_empty() { default } else { format!(" [default: {default}]") };
                let arg = Arg::new(setting.flag)
                    .long(setting.flag)
                    .value_name(setting.value)
                    .help(format!("{}{default}", setting.help));
                match setting.is_switch() {
                    true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                    false => arg,
                }
            });
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resolved: &Resolved, flag: &str) -> (String, Origin) {
        let (_, value, origin) = resolved.all().find(|(setting, _, _)| setting.flag == flag).unwrap();
        (value, origin.clone())
    }

    fn config(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_flag_counts_for_more_than_a_variable_than_the_file_than_the_default() {
        let file = config(
            "# bounds\nconnections_max = 1\nqueries_max = 1\nquery_time_max = \"1s\"\ninsecure = true\n",
        );
        let path = file.path().to_owned();
        let environment = [
            ("TAPEBOOK_CONNECTIONS_MAX".to_owned(), "2".to_owned()),
            ("TAPEBOOK_QUERIES_MAX".to_owned(), "2".to_owned()),
        ];
        let resolved = resolve(Some(&path), &environment, &[("connections-max", "3".to_owned())]).unwrap();
        assert_eq!(value(&resolved, "connections-max"), ("3".to_owned(), Origin::Flag("connections-max")));
        let variable = Origin::Variable("TAPEBOOK_QUERIES_MAX".to_owned());
        assert_eq!(value(&resolved, "queries-max"), ("2".to_owned(), variable));
        assert_eq!(value(&resolved, "query-time-max"), ("1s".to_owned(), Origin::File { path, line: 4 }));
        assert_eq!(value(&resolved, "insecure").0, "true");
        assert_eq!(value(&resolved, "subscriptions-max"), ("1024".to_owned(), Origin::Default));
    }

    #[test]
    fn a_name_that_does_not_exist_is_refused_and_the_nearest_named() {
        let file = config("listen = \"127.0.0.1:1\"\nconection_max = 1\n");
        let error = format!("{:?}", resolve(Some(file.path()), &[], &[]).unwrap_err());
        assert!(error.contains("line 2") && error.contains("did you mean connections_max?"), "{error}");
        let file = config("[limits]\nqueries_max = 1\n");
        let error = format!("{:?}", resolve(Some(file.path()), &[], &[]).unwrap_err());
        assert!(error.contains("sections"), "{error}");
    }

    #[test]
    fn a_variable_that_is_nearly_a_setting_is_told_of_and_others_are_not() {
        let environment = [
            ("TAPEBOOK_LISTN".to_owned(), "x".to_owned()),
            ("TAPEBOOK_PORT".to_owned(), "tcp://10.0.0.1:7700".to_owned()),
            ("TAPEBOOK_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned()),
        ];
        let resolved = resolve(None, &environment, &[]).unwrap();
        assert_eq!(
            resolved.warnings,
            ["the variable TAPEBOOK_LISTN is no setting; did you mean TAPEBOOK_LISTEN?"]
        );
    }

    #[test]
    fn a_value_that_is_no_good_names_its_place() {
        let environment = [("TAPEBOOK_QUERY_TIME_MAX".to_owned(), "5".to_owned())];
        let error = format!("{:?}", resolve(None, &environment, &[]).unwrap_err());
        assert!(error.contains("TAPEBOOK_QUERY_TIME_MAX") && error.contains("5s"), "{error}");
    }
}

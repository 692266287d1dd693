//! The commands: one table behind help and dispatch. Knows what each is called, not what it does.

mod bundle;
mod ci;
mod describe;
mod new_plugin;
pub(crate) mod package;
mod run;
mod test;

use std::process::ExitCode;

use clap::ArgMatches;
use clap::error::ErrorKind;

use crate::failure::Result;

/// One command: a line of the table.
pub(crate) struct Command {
    name: &'static str,
    about: &'static str,
    /// Shown at the end of `--help`.
    example: &'static str,
    arguments: fn(clap::Command) -> clap::Command,
    run: fn(&ArgMatches) -> Result<()>,
}

/// Every command there is, in the order of the help.
const COMMANDS: &[Command] = &[
    run::COMMAND,
    test::COMMAND,
    new_plugin::COMMAND,
    describe::COMMAND,
    bundle::COMMAND,
    package::COMMAND,
    ci::COMMAND,
];

/// Reads the command line, runs the command, and says how it ended: 0 done, 1 found problems, 2 used wrongly.
pub fn main() -> ExitCode {
    let matches = match line().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are answers, not mistakes. That nobody reads them changes nothing.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return ExitCode::from(2) };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else { return ExitCode::from(2) };
    match (command.run)(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("{failure}");
            }
            failure.exit_code()
        }
    }
}

fn line() -> clap::Command {
    let line = clap::Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Builds, tests and packages PlexiChat and its plugins")
        .after_help("Exit codes: 0 done, 1 found problems, 2 used wrongly")
        .subcommand_required(true)
        .arg_required_else_help(true);
    COMMANDS.iter().fold(line, |line, command| {
        let subcommand = (command.arguments)(clap::Command::new(command.name));
        // After the arguments: a group of options brings a text of its own.
        let example = format!("Example:\n  {}", command.example.replace('\n', "\n  "));
        line.subcommand(subcommand.about(command.about).long_about(None).after_help(example))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_sound_line_and_an_example() {
        line().debug_assert();
        for command in COMMANDS {
            assert!(command.example.starts_with("cargo xtask "), "{}", command.name);
            assert!(command.example.contains(command.name), "{}", command.name);
        }
    }
}

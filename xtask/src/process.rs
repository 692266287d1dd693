//! Starts other programs, Cargo above all, and reads what they say. Knows no suite and no command.

use std::ffi::OsStr;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::failure::{Explain, Failure, Result};

/// Cargo, run in `directory`: the very one that runs this tool.
pub(crate) fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    // `cargo run` sets these for us; left in, they would make build scripts of the inner Cargo run again.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Whether a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs it with our own output; an error if it does not end well.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().explain(|| format!("cannot start `{}`", shown(command)))?;
    ended_well(command, status)
}

/// Runs it and gives what it wrote to its standard output; an error, with what it complained of, if it does not end
/// well.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().explain(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.trim().trim_start_matches("error: ");
        return Err(Failure::found(format!("`{}` failed ({}): {complaint}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).explain(|| format!("`{}` wrote something that is no text", shown(command)))
}

/// Runs it, shows what it writes, and hands each line of it to `look`.
pub(crate) fn watch(command: &mut Command, look: &(dyn Fn(&str) + Sync)) -> Result<()> {
    if std::io::stderr().is_terminal() {
        // A pipe would otherwise cost colours and progress.
        command.env("CARGO_TERM_COLOR", "always").env("CARGO_TERM_PROGRESS_WHEN", "always");
        command.env("CARGO_TERM_PROGRESS_WIDTH", "80");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .explain(|| format!("cannot start `{}`", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let Some(stdout) = stdout {
            scope.spawn(|| copy(stdout, std::io::stdout(), look));
        }
        if let Some(stderr) = stderr {
            scope.spawn(|| copy(stderr, std::io::stderr(), look));
        }
    });
    let status = child.wait().explain(|| format!("cannot wait for `{}`", shown(command)))?;
    ended_well(command, status)
}

/// Copies bytes as they come (a progress line ends with no newline) and hands over each finished line without colours.
fn copy(mut from: impl Read, mut to: impl Write, look: &(dyn Fn(&str) + Sync)) {
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        // Nobody reads our output any more: the program shall still run to its end.
        let _ = to.write_all(&buffer[..length]).and_then(|()| to.flush());
        for byte in &buffer[..length] {
            match byte {
                b'\n' | b'\r' => {
                    look(&without_colours(&String::from_utf8_lossy(&line)));
                    line.clear();
                }
                byte => line.push(*byte),
            }
        }
    }
    if !line.is_empty() {
        look(&without_colours(&String::from_utf8_lossy(&line)));
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // CSI sequences end with a letter.
            for skipped in characters.by_ref() {
                if skipped.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

fn ended_well(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Failure::found(format!("`{}` failed ({status})", shown(command)))) }
}

/// The command line as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(|word| if word.contains([' ', '"', '(']) { format!("'{word}'").into() } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn lines_are_seen_without_colours() {
        let lines = Mutex::new(Vec::new());
        let look = |line: &str| lines.lock().unwrap().push(line.to_owned());
        watch(Command::new("printf").arg(r"\033[32m3 passed\033[0m\nhalf"), &look).unwrap();
        assert_eq!(*lines.lock().unwrap(), ["3 passed", "half"]);
    }

    #[test]
    fn a_failure_names_the_command_and_its_complaint() {
        let failure = capture(Command::new("ls").arg("/no such folder")).unwrap_err().to_string();
        assert!(failure.contains("`ls '/no such folder'` failed"), "{failure}");
        assert!(failure.contains("No such file"), "{failure}");
    }

    #[test]
    fn a_missing_program_is_no_panic() {
        let failure = run(&mut Command::new("/no/such/program")).unwrap_err().to_string();
        assert!(failure.starts_with("error: cannot start `program`"), "{failure}");
        assert!(!is_installed("no-such-program"));
        assert!(is_installed("ls"));
    }
}

//! The command line as its manual: the transcripts in `tests/cli/*.md` run the real binary. With `PLEXICHAT_UPDATE=1` they are
//! written anew, and the difference is read before it is committed.

use std::path::Path;

use crate::support::{Server, Setup};

/// Runs the blocks of a transcript in order. In a block marked `console`, a line `$ plexichat …` is run, and what follows up to
/// the next `$` is its output, errors after data; `? 1` names an exit code other than 0.
#[track_caller]
fn transcript(name: &str, server: &Server) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(name);
    let page = std::fs::read_to_string(&path).unwrap();
    let mut replayed = String::new();
    let mut console = false;
    for line in page.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            console = fence == "console";
        } else if console {
            if let Some(command) = line.strip_prefix("$ plexichat") {
                replayed.push_str(line);
                replayed.push('\n');
                replayed.push_str(&run(command, server));
            }
            continue;
        }
        replayed.push_str(line);
        replayed.push('\n');
    }
    if std::env::var_os("PLEXICHAT_UPDATE").is_some() {
        std::fs::write(&path, &replayed).unwrap();
        return;
    }
    let difference = page.lines().zip(replayed.lines()).find(|(expected, found)| expected != found);
    assert!(
        page == replayed,
        "{name} is not what the binary says; first difference: {difference:#?}\nall of it:\n{replayed}\nPLEXICHAT_UPDATE=1 \
         writes it anew"
    );
}

fn run(command: &str, server: &Server) -> String {
    let arguments: Vec<String> = words(command);
    let mut process = server.setup().command();
    process.env("PLEXICHAT_SERVER", format!("http://{}", server.address)).env("PLEXICHAT_TOKEN", server.token());
    // The same width and colours everywhere.
    process.env("COLUMNS", "100").env("NO_COLOR", "1").args(&arguments);
    let output = process.output().unwrap();
    let mut shown = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    if output.status.code() != Some(0) {
        shown = format!("? {}\n{shown}", output.status.code().unwrap());
    }
    if !shown.ends_with('\n') && !shown.is_empty() {
        shown.push('\n');
    }
    let address = server.address.to_string();
    let masked = shown.replace(&address, "[ADDRESS]").replace(&server.token(), "[TOKEN]");
    let masked = masked.replace(&server.setup().folder().display().to_string(), "[FOLDER]");
    let lines = masked.lines().map(|line| mask(line).trim_end().to_owned() + "\n");
    lines.collect()
}

/// Splits at spaces; single quotes keep them.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in command.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What differs from run to run: identifiers, times, versions, secrets.
fn mask(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
        if word == 0 {
            let letter = rest.chars().next().unwrap();
            masked.push(letter);
            rest = &rest[letter.len_utf8()..];
            continue;
        }
        masked.push_str(kind(&rest[..word]).unwrap_or(&rest[..word]));
        rest = &rest[word..];
    }
    masked
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':' | '+')
}

fn kind(word: &str) -> Option<&'static str> {
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    if lengths == [8, 4, 4, 4, 12] && word.split('-').all(hexadecimal) {
        return Some("[ID]");
    }
    if word.starts_with("plx_") || word.starts_with("inv_") {
        return Some("[TOKEN]");
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 8 && word.len() >= 19 && word.contains(':') && word.contains('T') {
        return Some("[TIME]");
    }
    if word == env!("CARGO_PKG_VERSION") {
        return Some("[VERSION]");
    }
    None
}

#[test]
fn what_is_masked() {
    assert_eq!(mask("a 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f, b"), "a [ID], b");
    assert_eq!(mask("at 2026-11-22T17:42:01.123456Z."), "at [TIME]");
    assert_eq!(mask("plx_abc and word-filter 40"), "[TOKEN] and word-filter 40");
    assert_eq!(words(" plugin config set echo '> x' y"), ["plugin", "config", "set", "echo", "> x", "y"]);
}

#[test]
fn ai() {
    transcript("ai.md", &Setup::new().start());
}

#[test]
fn workflows() {
    transcript("workflows.md", &Setup::new().start());
}

#[test]
fn plugins() {
    transcript("plugins.md", &Setup::new().start());
}

#[test]
fn rooms() {
    transcript("rooms.md", &Setup::new().start());
}

#[test]
fn rooms_and_tokens() {
    transcript("rooms-and-tokens.md", &Setup::new().start());
}

#[test]
fn people() {
    let server = Setup::new().start();
    std::fs::write(server.setup().folder().join("secret.txt"), "correct horse\n").unwrap();
    transcript("people.md", &server);
}

#[test]
fn operating() {
    transcript("operating.md", &Setup::new().start());
}

#[test]
fn settings() {
    let server = Setup::new().start();
    std::fs::write(
        server.setup().folder().join("plexichat.toml"),
        "[plugins.echo.config]\nprefix = 7\ncolour = \"red\"\n",
    )
    .unwrap();
    transcript("settings.md", &server);
}

#[test]
fn without_a_server() {
    let setup = Setup::new();
    let output = setup.run(&["plugin", "list", "--server", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("error: ") && stderr.contains("127.0.0.1:1") && stderr.contains("hint: "), "{stderr}");
    assert!(output.stdout.is_empty());
}

//! Holds that README, ARCHITECTURE and the pages in `docs` name only what exists: files, folders, links, `cargo xtask` and `plexichat` commands.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{none, root};

const PAPERS: &[&str] = &["README.md", "ARCHITECTURE.md", "docs/protocol.md"];

fn read(paper: &str) -> String {
    std::fs::read_to_string(root().join(paper)).unwrap_or_else(|error| panic!("{paper}: {error}"))
}

/// The pieces of a page between single back-quotes, and the lines of its fenced shell blocks.
fn code_pieces(page: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut fence: Option<String> = None;
    for line in page.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.to_owned()) };
        } else if let Some(language) = &fence {
            if matches!(language.as_str(), "sh" | "bash" | "console" | "shell") {
                pieces.push(line.trim_start_matches("$ ").to_owned());
            }
        } else {
            pieces.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    pieces
}

/// The word after `program` wherever a piece runs it.
fn subcommands(pieces: &[String], program: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for piece in pieces {
        let words: Vec<&str> = piece.split_whitespace().collect();
        for window in words.windows(program.len() + 1) {
            let word = window[program.len()];
            let is_command = word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
            if window[..program.len()] == *program && is_command {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn named_paths_exist() {
    let tops: Vec<String> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir() && entry.file_name() != "target")
        .map(|entry| format!("{}/", entry.file_name().to_string_lossy()))
        .collect();
    let mut findings = Vec::new();
    for paper in PAPERS {
        for piece in code_pieces(&read(paper)) {
            let path = piece.trim_end_matches(['/', '*', ',', '.', ':']);
            // Only what is spelled out: `plugins/<name>` and `{a,b}` stand for more than one.
            let spelled_out = !path.contains([' ', '<', '{', '*', '…', '$']) && piece.contains('/');
            if spelled_out && tops.iter().any(|top| piece.starts_with(top)) && !root().join(path).exists() {
                findings.push(format!("{paper}: `{piece}` does not exist"));
            }
        }
    }
    none(findings);
}

#[test]
fn every_plugin_has_its_papers() {
    let mut findings = Vec::new();
    let folders = std::fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        let missing = ["Cargo.toml", "README.md", "plugin.json", "config/default.json"];
        let missing = missing.iter().filter(|file| !folder.join(file).is_file());
        findings.extend(missing.map(|file| format!("{}: `{file}` is missing: cargo xtask describe", folder.display())));
    }
    none(findings);
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for paper in PAPERS {
        let page = read(paper);
        for (at, _) in page.match_indices("](") {
            let target = page[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
            let inside = !target.is_empty() && !target.contains("://");
            if inside && !root().join(target).exists() {
                findings.push(format!("{paper}: the link to `{target}` leads nowhere"));
            }
        }
    }
    none(findings);
}

#[test]
fn named_xtask_commands_exist() {
    let mut findings = Vec::new();
    for paper in PAPERS {
        for command in subcommands(&code_pieces(&read(paper)), &["cargo", "xtask"]) {
            let file = format!("xtask/src/command/{}.rs", command.replace('-', "_"));
            if !root().join(&file).exists() {
                findings.push(format!("{paper}: `cargo xtask {command}` does not exist ({file})"));
            }
        }
    }
    none(findings);
}

#[test]
fn named_server_commands_exist() {
    let mut findings = Vec::new();
    for paper in PAPERS {
        for command in subcommands(&code_pieces(&read(paper)), &["plexichat"]) {
            let output = Command::new(env!("CARGO_BIN_EXE_plexichat")).args([&command, "--help"]).output().unwrap();
            if !output.status.success() {
                findings.push(format!("{paper}: `plexichat {command}` does not exist"));
            }
        }
    }
    none(findings);
}

#[test]
fn the_licences_are_there() {
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(Path::new(root()).join(file).exists(), "{file}");
    }
}

#[test]
fn pieces_of_a_page() {
    let page = "Run `cargo xtask run` or\n```sh\n$ cargo xtask new-plugin hello\n```\n```rust\ncargo xtask no\n```\n";
    let pieces = code_pieces(page);
    let found: Vec<String> = subcommands(&pieces, &["cargo", "xtask"]).into_iter().collect();
    assert_eq!(found, ["new-plugin", "run"]);
}

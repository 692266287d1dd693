//! YARA rules: compiled, and asked about bytes. Knows no directory and no file.

use std::fmt::Write as _;
use std::time::Duration;

use boreal::compiler::{Compiler, CompilerParams, generate_description};
use boreal::scanner::{ScanError as Failed, ScanParams, Scanner};
use plexichat::canary::Canary;
use plexichat::message::{Finding, ScanError, Verdict};

use crate::config::Action;

/// How many rules a finding names.
const NAMED: usize = 10;

/// Under which the built-in rules are known.
const BUILTIN: &str = "built-in rules";

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleFile {
    /// Its path below the directory; rules of one name in two files are two rules.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Rules that are ready.
pub(crate) struct Rules {
    scanner: Option<Scanner>,
    count: usize,
}

impl Rules {
    /// Compiles these files together.
    ///
    /// # Errors
    /// The first mistake, with file, line and column.
    pub(crate) fn compile<'a>(
        builtin: bool,
        files: impl IntoIterator<Item = &'a RuleFile>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let mut compiler = compiler();
        if builtin {
            add(&mut compiler, &RuleFile { name: BUILTIN.to_owned(), text: eicar() })?;
        }
        for file in files {
            add(&mut compiler, file)?;
        }
        let mut scanner = compiler.finalize();
        scanner.set_scan_params(ScanParams::default().timeout_duration(Some(timeout)));
        let count = scanner.rules().count();
        Ok(Self { scanner: (count > 0).then_some(scanner), count })
    }

    /// Whether this file alone compiles.
    ///
    /// # Errors
    /// Its first mistake, with file, line and column.
    pub(crate) fn check(file: &RuleFile) -> Result<(), String> {
        add(&mut compiler(), file)
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scanner.is_none()
    }

    /// What the rules say of these bytes. A rule rejects; one with the tag `quarantine` or `flag` does that instead.
    ///
    /// # Errors
    /// `Timeout`.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Result<Verdict, ScanError> {
        let Some(scanner) = &self.scanner else { return Ok(Verdict::Allow) };
        let found = scanner.scan_mem(bytes).map_err(|(error, _)| match error {
            Failed::Timeout => ScanError::Timeout,
            error => ScanError::Internal(format!("the YARA engine says: {error}")),
        })?;
        let tagged = |tags: &[_], name: &str| tags.iter().any(|tag| scanner.get_string_symbol(*tag) == name);
        let action = found.rules.iter().map(|rule| match rule.tags {
            tags if tagged(tags, "flag") => Action::Flag,
            tags if tagged(tags, "quarantine") => Action::Quarantine,
            _ => Action::Reject,
        });
        let Some(action) = action.max_by_key(|action| *action as u8) else { return Ok(Verdict::Allow) };
        let named = found.rules.iter().take(NAMED);
        let threats = named.clone().map(|rule| rule.name.to_owned()).collect();
        let mut detail = String::from("YARA:");
        for (index, rule) in named.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(detail, "{comma} `{}` of {}", rule.name, rule.namespace);
        }
        if found.rules.len() > NAMED {
            let _ = write!(detail, " and {} more", found.rules.len() - NAMED);
        }
        Ok(action.verdict(Finding { threats, detail: Some(detail), ..Finding::new("virus") }))
    }
}

fn compiler() -> Compiler {
    let mut compiler = Compiler::new();
    // Every file of the directory is read anyway, and nothing else is to be.
    compiler.set_params(CompilerParams::default().disable_includes(true));
    compiler
}

fn add(compiler: &mut Compiler, file: &RuleFile) -> Result<(), String> {
    let added = compiler.add_rules_str_in_namespace(&file.text, &file.name);
    added.map(|_| ()).map_err(|error| generate_description(&error.to_diagnostic(), &file.name, &file.text))
}

/// The rule that knows EICAR's test file, in hexadecimal so that no virus scanner objects to the bundle.
fn eicar() -> String {
    let mut pattern = String::new();
    for byte in Canary::eicar_text().bytes() {
        // Writing to a string cannot fail.
        let _ = write!(pattern, "{byte:02X} ");
    }
    format!("rule EICAR_Test_File {{ strings: $eicar = {{ {pattern}}} condition: $eicar }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn file(name: &str, text: &str) -> RuleFile {
        RuleFile { name: name.to_owned(), text: text.to_owned() }
    }

    #[track_caller]
    fn rules(builtin: bool, text: &str) -> Rules {
        Rules::compile(builtin, &[file("own.yar", text)], TIMEOUT).expect("compiles")
    }

    #[test]
    fn the_built_in_rule_knows_eicar_anywhere() {
        let rules = Rules::compile(true, [], TIMEOUT).expect("compiles");
        let eicar = Canary::eicar_text();
        for text in [eicar.clone(), format!("look:\n{eicar}\n")] {
            let Ok(Verdict::Reject(finding)) = rules.judge(text.as_bytes()) else { panic!("it passes") };
            assert_eq!(finding.threats, ["EICAR_Test_File"]);
            assert_eq!(finding.detail.as_deref(), Some("YARA: `EICAR_Test_File` of built-in rules"));
        }
        assert_eq!(rules.judge(&eicar.as_bytes()[..67]), Ok(Verdict::Allow));
        assert!(Rules::compile(false, [], TIMEOUT).expect("compiles").is_empty());
    }

    #[test]
    fn tags_soften_what_is_done() {
        let all = rules(
            false,
            r#"rule a : flag { strings: $x = "aaa" condition: $x }
               rule b : quarantine other { strings: $x = "bbb" condition: $x }
               rule c { strings: $x = "ccc" condition: $x }"#,
        );
        let code = |bytes: &[u8]| match all.judge(bytes) {
            Ok(Verdict::Allow) => "allow",
            Ok(Verdict::Flag(_)) => "flag",
            Ok(Verdict::Quarantine(_)) => "quarantine",
            Ok(Verdict::Reject(_)) => "reject",
            other => panic!("{other:?}"),
        };
        let codes = ["x", "aaa", "aaa bbb", "aaa bbb ccc"].map(|text| code(text.as_bytes()));
        assert_eq!(codes, ["allow", "flag", "quarantine", "reject"]);
    }

    #[test]
    fn modules_that_rules_use_are_there() {
        let pe =
            r#"import "pe" import "hash" import "math" rule r { condition: pe.is_pe or hash.md5(0, filesize) == "x" }"#;
        assert_eq!(rules(false, pe).judge(b"text"), Ok(Verdict::Allow));
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Rules::check(&file("dir/bad.yar", text)).expect_err("it has a mistake");
        assert_eq!(error, expected);
    }

    #[test]
    fn mistakes_are_located() {
        check("rule a {\n  condition: nothing\n}", "dir/bad.yar:2:14: error: unknown identifier \"nothing\"");
        check("rule a {\n  condition: true", "dir/bad.yar:2:18: error: syntax error");
        check("include \"/etc/passwd\"", "dir/bad.yar:1:1: error: includes are not allowed");
    }

    #[test]
    fn rules_of_one_name_in_two_files_are_two() {
        let text = "rule same { condition: true }";
        let rules = Rules::compile(false, &[file("a.yar", text), file("b.yar", text)], TIMEOUT).expect("compiles");
        assert_eq!(rules.len(), 2);
        let Ok(Verdict::Reject(finding)) = rules.judge(b"") else { panic!("it passes") };
        assert_eq!(finding.detail.as_deref(), Some("YARA: `same` of a.yar, `same` of b.yar"));
    }
}

//! What commands print on stdout: tables for people, JSON for programs. Knows no command.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::Value;

use super::Failure;

/// Where a command's data goes.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a value: as JSON, or as text that the function makes of it.
    pub(crate) fn show(&mut self, value: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let shown = if self.json { pretty(value) } else { text(value) };
        let mut stdout = io::stdout().lock();
        stdout.write_all(shown.as_bytes())?;
        if !shown.is_empty() && !shown.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// A table with a heading, without lines.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading);
    rows.into_iter().for_each(|row| {
        table.add_row(row.map(|cell| plain(&cell)));
    });
    // Columns are padded; what is printed has no blanks at the ends of lines.
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}

/// Names and values, one a line.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", plain(value)).trim_end().to_owned() + "\n")
        .collect()
}

/// The text without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A member of a JSON object as a table shows it.
pub(crate) fn cell(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_plain_text() {
        let value = json!({ "name": "echo", "tags": ["a", "b"], "cause": "bad\u{1b}[31m", "none": null, "n": 3 });
        let row = ["name", "tags", "cause", "none", "n"].map(|name| cell(&value, name));
        expect![[r#"
            NAME  TAGS  CAUSE     NONE  N
            echo  a, b  bad [31m  -     3
        "#]]
        .assert_eq(&table(["NAME", "TAGS", "CAUSE", "NONE", "N"], [row]));
        expect![[r#"
            name     echo
            version  1
        "#]]
        .assert_eq(&fields(&[("name", "echo".into()), ("version", "1".into())]));
    }
}

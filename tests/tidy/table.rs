//! The table of `ARCHITECTURE.md` that says which file may import which, as data.
//!
//! Below the heading `### <package>` stands a fenced block marked `text`, one line a file of that package's `src`:
//!
//! ```text
//! event/mod.rs   what it is   ← id, message
//! capability/*   what it is   ← permission, id
//! lib.rs         the front page   ← *
//! ```
//!
//! After the arrow: modules of the same crate by path without `.rs` (`event/bus`; `event` is `event/mod.rs` only), a
//! whole folder as `capability/*`, all as `*`, none as `nothing`. `lib` is what the front page itself holds. A module may
//! always import its own children, and the files of a row that speaks of a folder each other.

use super::root;

/// One line of the table.
pub(super) struct Row {
    /// A file below `src`, or a folder as `folder/*`.
    pub(super) files: String,
    allowed: Vec<String>,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once('←')?;
        let files = left.split_whitespace().next()?.to_owned();
        let allowed = right.split(',').map(|name| name.trim().to_owned()).filter(|name| name != "nothing");
        Some(Self { files, allowed: allowed.collect() })
    }

    /// Whether the row speaks of this file.
    pub(super) fn names(&self, file: &str) -> bool {
        self.files == file || self.folder().is_some_and(|folder| file.starts_with(folder))
    }

    /// `capability/` for a row that speaks of a whole folder.
    pub(super) fn folder(&self) -> Option<&str> {
        self.files.strip_suffix('*').filter(|folder| folder.ends_with('/'))
    }

    /// Whether the row lets its files import this module, such as `event/bus`.
    pub(super) fn allows(&self, module: &str) -> bool {
        let below =
            |folder: &str| module == folder || module.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let listed = self.allowed.iter().any(|allowed| match allowed.strip_suffix("/*") {
            Some(folder) => below(folder),
            None => allowed == "*" || allowed == module,
        });
        listed || self.folder().is_some_and(|folder| below(folder.trim_end_matches('/')))
    }
}

/// The rows of one package, in the order of the page.
pub(super) fn rows(package: &str) -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = parse(&page, package);
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table below the heading `### {package}`");
    rows
}

fn parse(page: &str, package: &str) -> Vec<Row> {
    let heading = format!("### {package}");
    let section = page.lines().skip_while(|line| line.trim_end() != heading);
    let block = section.skip_while(|line| !line.starts_with("```text")).skip(1);
    block.take_while(|line| !line.starts_with("```")).filter_map(Row::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_allows_what_it_lists_and_nothing_else() {
        let page = "### a\n\n```text\nid.rs  words ← nothing\nx/*  rest ← id, event/*\nlib.rs all ← *\n```\n### b\n";
        let rows = parse(page, "a");
        assert_eq!(rows.len(), 3);
        assert!(!rows[0].allows("event"));
        assert!(rows[1].allows("id") && rows[1].allows("event") && rows[1].allows("event/bus"));
        assert!(rows[1].allows("x/z") && rows[1].allows("x") && !rows[1].allows("xylophone"));
        assert!(!rows[1].allows("idle") && !rows[1].allows("events/bus"));
        assert!(rows[1].names("x/y.rs") && !rows[1].names("y.rs") && rows[0].names("id.rs"));
        assert!(rows[2].allows("anything"));
        assert!(parse(page, "b").is_empty());
    }
}

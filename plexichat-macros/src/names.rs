//! The rules of names, each with the message for a name that breaks it. The plugin's rule is `plexichat::id`'s too; a
//! test keeps them equal.

use crate::words;

/// Whether this can be a plugin's name.
pub(crate) fn plugin(name: &str) -> Result<(), String> {
    let mut words = name.split('-');
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let shape = name.starts_with(|first: char| first.is_ascii_lowercase()) && words.all(word);
    if !shape || name.len() > words::NAME_MAX {
        return Err(format!(
            "`{name}` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at \
             most {} characters",
            words::NAME_MAX
        ));
    }
    if words::RESERVED_NAMES.contains(&name) {
        return Err(format!("`{name}` is reserved and cannot be a plugin's name"));
    }
    Ok(())
}

/// Whether this can be the name of a plugin's own event, without its prefix.
pub(crate) fn event(name: &str) -> Result<(), String> {
    if let Some(bare) = name.strip_prefix(words::CUSTOM_PREFIX) {
        return Err(format!("write `{bare}`: the prefix `{}` is added", words::CUSTOM_PREFIX));
    }
    if !is_word(name, "_") || name.len() > words::NAME_MAX {
        return Err(format!(
            "`{name}` is no name of an event: lower-case letters, digits and `_`, starting with a letter, at most {} \
             characters",
            words::NAME_MAX
        ));
    }
    Ok(())
}

/// Whether this can be a command's name, without the slash.
pub(crate) fn command(name: &str) -> Result<(), String> {
    if let Some(bare) = name.strip_prefix('/') {
        return Err(format!("write `{bare}`: the slash is the caller's"));
    }
    if !is_word(name, "_-") || name.len() > words::NAME_MAX {
        return Err(format!(
            "`{name}` is no name of a command: lower-case letters, digits, `-` and `_`, starting with a letter, at most {} \
             characters",
            words::NAME_MAX
        ));
    }
    Ok(())
}

/// Whether this can be a tool's name.
pub(crate) fn tool(name: &str) -> Result<(), String> {
    let joined = name.split('_').all(|word| !word.is_empty());
    if !is_word(name, "_") || name.len() > words::TOOL_NAME_MAX || !joined {
        return Err(format!(
            "`{name}` is no name of a tool: lower-case letters and digits in words joined by `_`, starting with a letter, at \
             most {} characters: with the plugin's name it has to fit into what models know",
            words::TOOL_NAME_MAX
        ));
    }
    Ok(())
}

fn is_word(name: &str, joints: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || joints.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_for_plugins_is_the_one_of_the_core() {
        for name in [
            "echo",
            "word-filter",
            "a1-b2",
            "",
            "-a",
            "a-",
            "a--b",
            "1a",
            "Echo",
            "word_filter",
            "core",
            "fixtures",
            "é",
            "abcdefghijklmnopqrstuvwxyz-abcdefghijklmn",
            "abcdefghijklmnopqrstuvwxyz-abcdefghijklm",
        ] {
            let core = name.parse::<plexichat::id::PluginName>().map(drop).map_err(|error| error.to_string());
            assert_eq!(plugin(name), core, "{name}");
        }
    }

    #[test]
    fn events_and_commands_have_theirs() {
        assert!(event("report_ready").is_ok() && command("roll-dice").is_ok());
        assert_eq!(event("custom.x").unwrap_err(), "write `x`: the prefix `custom.` is added");
        assert_eq!(command("/x").unwrap_err(), "write `x`: the slash is the caller's");
        assert!(tool("open_window_2").is_ok() && tool("a_name_of_20_letters").is_ok());
        for name in
            ["open_window_2", "a", "", "2nd", "Open", "open-window", "a__b", "a_", "_a", "é", "a_name_of_21_letters_"]
        {
            assert_eq!(tool(name).is_err(), plexichat::tool::name_problem(name).is_some(), "{name}");
        }
        assert!(event("report-ready").is_err() && command("Roll").is_err() && event("").is_err());
    }
}

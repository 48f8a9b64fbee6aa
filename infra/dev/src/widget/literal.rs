//! A file as a string of a script: a letter for each octet, U+0000 to U+00FF.
//!
//! Brotli finds in it what it finds in the file, which it does not in Base64: the module weighs five per cent more than by itself, and
//! saves a journey to the server.

use anyhow::ensure;

/// Puts `file` where the script has the string `placeholder`.
pub(super) fn put(script: &str, placeholder: &str, file: &[u8]) -> anyhow::Result<String> {
    let placeholder = format!("{placeholder:?}");
    let count = script.matches(&placeholder).count();
    ensure!(count == 1, "the script has {placeholder} {count} times");
    Ok(script.replace(&placeholder, &literal(file)))
}

fn literal(file: &[u8]) -> String {
    let mut literal = String::with_capacity(file.len() * 2);
    literal.push('"');
    for octet in file {
        match octet {
            // Not `\0`, which before a digit means something else.
            0 => literal.push_str("\\x00"),
            b'\n' => literal.push_str("\\n"),
            b'\r' => literal.push_str("\\r"),
            b'"' => literal.push_str("\\\""),
            b'\\' => literal.push_str("\\\\"),
            octet => literal.push(char::from(*octet)),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_a_letter_and_none_ends_the_string() {
        let file: Vec<u8> = (0..=255).collect();
        let script = put("f(\"it\")", "it", &file).unwrap();
        let inside = script.strip_prefix("f(\"").unwrap();
        let inside = inside.strip_suffix("\")").unwrap();
        let read = inside
            .replace("\\x00", "\0")
            .replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\\"", "\"")
            .replace("\\\\", "\\");
        let octets: Vec<u8> = read
            .chars()
            .map(|letter| u8::try_from(letter).unwrap())
            .collect();
        assert_eq!(octets, file);
        assert!(!inside.contains(['\n', '\r']));
    }

    #[test]
    fn a_script_without_a_place_for_it_is_an_error() {
        let error = put("f()", "it", &[]).unwrap_err();
        assert!(error.to_string().contains("0 times"), "{error}");
    }
}

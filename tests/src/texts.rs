//! The widget's words, in every language: nothing is missing, left over, or left in English.

use std::collections::{BTreeMap, BTreeSet};

use leadlight::assessment::Reason;
use leadlight::lead::Standing;
use leadlight_dev::workspace;

const LANGUAGES: [&str; 6] = ["ar", "de", "en", "es", "fr", "ja"];

type Texts = BTreeMap<String, String>;

#[test]
fn there_is_a_catalogue_for_each_language_and_no_other_file() {
    let folder = workspace::root().join("frontend/texts");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, LANGUAGES.map(|language| format!("{language}.json")));
}

#[test]
fn every_language_has_the_same_texts_with_the_same_gaps() {
    let english = texts("en");
    for language in LANGUAGES {
        let translated = texts(language);
        let keys = |texts: &Texts| texts.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&translated), keys(&english), "{language}");
        for (key, text) in &translated {
            assert!(
                !text.is_empty() && *text == text.trim() && !text.contains("  "),
                "{language} {key}: {text:?}"
            );
            assert_eq!(
                gaps(text),
                gaps(&english[key]),
                "{language} {key}: {text:?}"
            );
        }
    }
}

#[test]
fn every_reason_has_a_name_and_a_sentence_of_its_own_in_every_language() {
    for language in LANGUAGES {
        let texts = texts(language);
        let mut sentences = BTreeSet::new();
        for reason in Reason::all() {
            let code = reason.code();
            let name = format!("reason.{code}.name");
            assert!(texts.contains_key(&name), "{language} {name}");
            let meaning = match reason.cause() {
                Some(cause) => format!("reason.{code}.{cause}.meaning"),
                None => format!("reason.{code}.meaning"),
            };
            let sentence = texts
                .get(&meaning)
                .unwrap_or_else(|| panic!("{language} lacks {meaning}"));
            assert!(is_sentence(sentence), "{language} {meaning}: {sentence}");
            assert!(
                sentences.insert(sentence),
                "{language} says the same of two reasons: {sentence}"
            );
        }
        assert_eq!(sentences.len(), Reason::all().count());
        let told = texts
            .keys()
            .filter(|key| key.starts_with("reason.") && key.ends_with(".meaning"));
        assert_eq!(
            told.count(),
            sentences.len(),
            "{language} has a sentence for a reason that does not exist"
        );
    }
}

#[test]
fn every_status_has_a_name_and_a_sentence_in_every_language() {
    for language in LANGUAGES {
        let texts = texts(language);
        let standings = Standing::ALL.iter().map(|standing| standing.code());
        let mut names = BTreeSet::new();
        for status in standings.chain(["soft_bouncing"]) {
            let sentence = &texts[&format!("status.{status}.meaning")];
            assert!(is_sentence(sentence), "{language} {status}: {sentence}");
            names.insert(&texts[&format!("status.{status}.name")]);
        }
        names.insert(&texts["status.blocklisted.name"]);
        assert_eq!(names.len(), Standing::ALL.len() + 2, "{language}");
    }
}

#[test]
fn no_sentence_is_left_in_english() {
    let english = texts("en");
    for language in LANGUAGES.iter().filter(|language| **language != "en") {
        let translated = texts(language);
        let same: Vec<&String> = english
            .keys()
            .filter(|key| is_sentence(&english[*key]) && english[*key] == translated[*key])
            .collect();
        assert!(same.is_empty(), "{language} has English: {same:?}");
    }
}

/// The texts of a language. A key that is there twice is told here, as no parser of JSON would.
fn texts(language: &str) -> Texts {
    let path = workspace::root().join(format!("frontend/texts/{language}.json"));
    let file = std::fs::read_to_string(path).unwrap();
    let texts: Texts = serde_json::from_str(&file).unwrap();
    let lines = file.lines().filter(|line| line.starts_with("  \"")).count();
    assert_eq!(texts.len(), lines, "{language} has a key twice");
    texts
}

/// The names of the places that are filled in, such as `time` for `{time}`.
fn gaps(text: &str) -> BTreeSet<&str> {
    let opened = text.split('{').skip(1);
    opened
        .map(|rest| rest.split_once('}').expect("each { has its }").0)
        .collect()
}

fn is_sentence(text: &str) -> bool {
    text.ends_with(['.', '。', '؟', '?', '？'])
}

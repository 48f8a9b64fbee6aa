//! What is an address, and what a rejected text is told.

use leadlight::address::{Address, AddressError};
use proptest::prelude::*;

#[test]
fn an_address_is_normalised_once() {
    let long_local = format!("{}@example.com", "a".repeat(65));
    let rows = [
        ("ann@example.com", "ann@example.com", "as it is"),
        (
            "  ann@example.com\r\n",
            "ann@example.com",
            "outer blanks come from copying",
        ),
        (
            "Ann.Lee@Example.COM",
            "Ann.Lee@example.com",
            "the local part keeps its case, the domain does not",
        ),
        (
            "ann+crm@example.com",
            "ann+crm@example.com",
            "tags are part of the address",
        ),
        (
            "o'hara!#$%&*/=?^_`{|}~-@example.com",
            "o'hara!#$%&*/=?^_`{|}~-@example.com",
            "all of atext",
        ),
        (
            "ann@bücher.example",
            "ann@xn--bcher-kva.example",
            "A-labels (UTS 46)",
        ),
        (
            "ann@straße.example",
            "ann@xn--strae-oqa.example",
            "non-transitional: ß stays ß",
        ),
        (
            "ann@xn--bcher-kva.example",
            "ann@xn--bcher-kva.example",
            "A-labels that round-trip",
        ),
        ("e\u{301}ve@example.com", "\u{e9}ve@example.com", "NFC"),
        (
            "राम@मोहन.ईन्फो",
            "राम@xn--l2bl7a9d.xn--o1b8dj2ki",
            "combining marks are letters",
        ),
        (
            &long_local,
            &long_local,
            "more than 64 octets before the @ are for a warning",
        ),
    ];
    for (text, expected, why) in rows {
        assert_eq!(
            Address::parse(text).map(String::from),
            Ok(expected.to_owned()),
            "{why}"
        );
    }
}

#[test]
fn every_rejection_says_what_is_wrong_and_where() {
    let odd = |character, position| AddressError::UnexpectedCharacter {
        character,
        position,
    };
    let inner = Address::parse("ann@example.com").ok();
    let long_label = format!("ann@{}.com", "a".repeat(64));
    let long_labels = format!("ann@{}.com", ["a".repeat(63).as_str(); 4].join("."));
    let long_domain = format!("ann@{}", ["abcdefghi"; 30].join("."));
    let long_whole = format!("{}@{}.com", "a".repeat(64), ["abcdefghi"; 19].join("."));
    let endless = "a".repeat(10_000);
    let rows = [
        ("", AddressError::Empty),
        (" \t ", AddressError::Empty),
        (
            "Ann Lee <ann@example.com>",
            AddressError::DisplayName {
                inner: inner.clone(),
            },
        ),
        (
            "<ann@example.com>",
            AddressError::DisplayName {
                inner: inner.clone(),
            },
        ),
        ("Ann Lee <ann>", AddressError::DisplayName { inner: None }),
        (
            "mailto:ann@example.com?subject=hi",
            AddressError::MailtoLink {
                inner: inner.clone(),
            },
        ),
        ("MAILTO:ann@example.com", AddressError::MailtoLink { inner }),
        ("ann.example.com", AddressError::MissingAt),
        ("ann@ex@mple.com", AddressError::SecondAt { position: 7 }),
        ("@example.com", AddressError::EmptyLocalPart),
        ("ann@", AddressError::EmptyDomain),
        ("an n@example.com", odd(' ', 3)),
        ("ann@[192.0.2.1", odd('[', 5)),
        ("ann@192.0.2.1]", odd(']', 14)),
        ("x\"ann\"@example.com", odd('"', 2)),
        ("\"ann\"lee@example.com", odd('"', 1)),
        // The first of several is named, whichever rule refuses it.
        ("ann@ex\u{a0}am!ple.com", odd('\u{a0}', 7)),
        ("ann@ex\u{80}am!ple.com", odd('\u{80}', 7)),
        ("ann@a\u{5d0}.example", AddressError::InvalidDomain),
        ("ann@exam ple.com", odd(' ', 9)),
        ("ann@exam\u{a0}ple.com", odd('\u{a0}', 9)),
        ("ann@exam\u{85}ple.com", odd('\u{85}', 9)),
        ("ann\u{200b}@example.com", odd('\u{200b}', 4)),
        ("ann\u{ff20}example.com", odd('\u{ff20}', 4)),
        ("ann,lee@example.com", odd(',', 4)),
        ("a\u{37e}n@example.com", odd('\u{37e}', 2)),
        ("c\u{327}\u{37e}n@example.com", odd('\u{37e}', 3)),
        ("\u{300}ann@example.com", odd('\u{300}', 1)),
        ("ann@exam_ple.com", odd('_', 9)),
        ("ann\0@example.com", odd('\0', 4)),
        (
            ".ann@example.com",
            AddressError::MisplacedDot { position: 1 },
        ),
        (
            "ann.@example.com",
            AddressError::MisplacedDot { position: 4 },
        ),
        (
            "ann..lee@example.com",
            AddressError::MisplacedDot { position: 5 },
        ),
        (
            "ann@example.com.",
            AddressError::MisplacedDot { position: 16 },
        ),
        (
            "ann@example..com",
            AddressError::MisplacedDot { position: 13 },
        ),
        ("\"ann lee\"@example.com", AddressError::QuotedLocalPart),
        ("ann(work)@example.com", AddressError::Comment),
        ("ann@[192.0.2.1]", AddressError::DomainLiteral),
        ("ann@localhost", AddressError::DotlessDomain),
        ("ann@192.0.2.1", AddressError::NumericTopLevelDomain),
        (
            "ann@-example.com",
            AddressError::MisplacedHyphen { position: 5 },
        ),
        (
            "ann@mail.example-.com",
            AddressError::MisplacedHyphen { position: 17 },
        ),
        (
            "ann@ex--ample.com",
            AddressError::MisplacedHyphen { position: 7 },
        ),
        ("ann@xn--zzzzzz.com", AddressError::InvalidALabel),
        ("ann@mail.test", AddressError::ReservedDomain),
        (&long_label, AddressError::LabelTooLong),
        (&long_labels, AddressError::DomainTooLong { octets: 259 }),
        (&long_domain, AddressError::DomainTooLong { octets: 299 }),
        ("ann@\u{301}a.example", AddressError::InvalidDomain),
        (&long_whole, AddressError::TooLong { octets: 258 }),
        (&endless, AddressError::TooLong { octets: 10_000 }),
    ];
    for (text, expected) in rows {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(Address::parse(text), Err(expected), "{shown}");
    }
}

#[test]
fn mail_headers_are_read_through() {
    for text in [
        "Ann <ann@example.com>",
        "<ann@example.com>",
        "ann@example.com",
        "\"Lee, Ann\" <ann@example.com>",
    ] {
        assert_eq!(
            Address::parse_mailbox(text).map(String::from),
            Ok("ann@example.com".to_owned())
        );
    }
    assert_eq!(
        Address::parse_mailbox("Ann <>"),
        Err(AddressError::DisplayName { inner: None })
    );
}

#[test]
fn letter_case_does_not_make_another_mailbox() {
    let lower = Address::parse("ann@example.com").unwrap();
    let upper = Address::parse("ANN@EXAMPLE.com").unwrap();
    assert!(lower.is_same_mailbox(&upper));
    assert_ne!(lower, upper, "the spelling is kept");
    assert_eq!(upper.local_part(), "ANN");
    assert_eq!(upper.domain(), "example.com");
}

#[test]
fn an_address_is_never_printed_by_accident() {
    let address = Address::parse("ann@example.com").unwrap();
    assert_eq!(format!("{address:?}"), "Address(..)");
    let error = Address::parse("an n@example.com").unwrap_err();
    assert!(!error.to_string().contains("example"));
}

#[test]
fn what_cannot_be_seen_or_has_no_meaning_is_refused_before_the_at() {
    let refused = "\u{85}\u{a0}\u{ad}\u{200b}\u{200c}\u{200d}\u{200f}\u{2028}\u{202e}\u{2060}\u{206f}\u{e000}\u{f8ff}\u{fdd0}\u{feff}\u{fff0}\u{fffd}\u{f0000}";
    for character in refused.chars() {
        let odd = AddressError::UnexpectedCharacter {
            character,
            position: 2,
        };
        let text = format!("a{character}n@example.com");
        assert_eq!(Address::parse(&text), Err(odd), "{character:?}");
    }
    for character in "éßंд中😀".chars() {
        assert!(
            Address::parse(&format!("a{character}n@example.com")).is_ok(),
            "{character:?}"
        );
    }
}

#[test]
fn the_longest_address_is_accepted() {
    let longest = format!(
        "{}@{}.example.com",
        "a".repeat(64),
        ["abcdefghi"; 17].join(".")
    );
    let longest = format!(
        "{}@{}{}",
        "a".repeat(64),
        "b".repeat(254 - longest.len()),
        &longest[65..]
    );
    assert_eq!(longest.len(), 254);
    assert_eq!(
        Address::parse(&longest).map(|address| address.as_str().len()),
        Ok(254)
    );
    let longer = longest.replace('@', "@b");
    assert_eq!(
        Address::parse(&longer),
        Err(AddressError::TooLong { octets: 255 })
    );
    assert_eq!(
        Address::parse(&"a".repeat(1_016)),
        Err(AddressError::MissingAt)
    );
    assert_eq!(
        Address::parse(&"a".repeat(1_017)),
        Err(AddressError::TooLong { octets: 1_017 })
    );
}

#[test]
fn ses_can_send_only_to_ascii_before_the_at() {
    assert!(
        Address::parse("ann@bücher.example")
            .unwrap()
            .is_sendable_by_ses()
    );
    assert!(
        !Address::parse("éve@example.com")
            .unwrap()
            .is_sendable_by_ses()
    );
}

#[test]
fn every_rejection_has_its_own_code() {
    let texts = [
        "",
        "<a@b.example>",
        "mailto:a@b.example",
        "a",
        "a@b@c.example",
        "@b.example",
        "a@",
        "a b@c.example",
        ".a@b.example",
        "\"a\"@b.example",
        "a(b)@c.example",
        "a@[192.0.2.1]",
        "a@b",
        "a@192.0.2.1",
        "a@-b.example",
        "a@xn--zzzzzz.example",
        "a@b.test",
        "a@\u{301}b.example",
    ];
    let long = [
        format!("a@{}.example", "b".repeat(64)),
        format!("a@{}.example", ["b"; 130].join(".")),
        "a".repeat(2_000),
    ];
    let texts = texts.into_iter().chain(long.iter().map(String::as_str));
    let codes: std::collections::BTreeSet<&str> = texts
        .map(|text| Address::parse(text).unwrap_err().code())
        .collect();
    assert_eq!(codes.len(), 21, "{codes:?}");
    assert!(codes.iter().all(|code| !code.is_empty()));
}

#[test]
fn the_odd_character_is_named() {
    let rows = [
        (
            "ann\u{ff20}example.com",
            "a full-width ＠ (U+FF20) at position 4",
        ),
        (
            "ann\u{200b}@example.com",
            "a zero-width space (U+200B) at position 4",
        ),
        (
            "ann@exam\u{a0}ple.com",
            "a no-break space (U+00A0) at position 9",
        ),
        ("ann@exam\nple.com", "a line break (U+000A) at position 9"),
        (
            "ann@exam\u{200b}ple.com",
            "a zero-width space (U+200B) at position 9",
        ),
        (
            "ann@exam\u{ad}ple.com",
            "a soft hyphen (U+00AD) at position 9",
        ),
        (
            "ann@example.com\u{202c}",
            "a mark of writing direction (U+202C) at position 16",
        ),
        ("ann lee@example.com", "a space at position 4"),
        ("ann,lee@example.com", "“,” at position 4"),
        ("ann@exam\u{2100}ple.com", "“℀” (U+2100) at position 9"),
        ("\u{2551}ann@example.com", "“║” (U+2551) at position 1"),
        ("ann\tlee@example.com", "a tab at position 4"),
        (
            "ann\u{200c}@example.com",
            "a zero-width joiner (U+200C) at position 4",
        ),
        (
            "ann\u{200d}@example.com",
            "a zero-width joiner (U+200D) at position 4",
        ),
        (
            "ann\u{feff}@example.com",
            "a byte-order mark (U+FEFF) at position 4",
        ),
        (
            "ann\u{fe6b}example.com",
            "a small ﹫ (U+FE6B) at position 4",
        ),
        (
            "ann\u{1}@example.com",
            "a control character (U+0001) at position 4",
        ),
        (
            "ann\u{2060}@example.com",
            "an invisible character (U+2060) at position 4",
        ),
        (
            "ann\u{2003}@example.com",
            "an invisible character (U+2003) at position 4",
        ),
    ];
    for (text, expected) in rows {
        let error = Address::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("the address holds {expected}"));
        assert!(error.position().is_some() && error.character().is_some());
        assert!(error.sentence().contains(expected), "{}", error.sentence());
    }
}

#[test]
fn what_is_pasted_offers_the_address_inside() {
    for text in [
        "Ann Lee <ann@example.com>",
        "mailto:ann@example.com?subject=Hello",
    ] {
        let error = Address::parse(text).unwrap_err();
        assert_eq!(error.inner().map(Address::as_str), Some("ann@example.com"));
        assert_eq!(
            error.sentence(),
            "The text holds an address and more: take the address alone."
        );
    }
}

#[test]
fn a_legal_but_unusual_form_is_never_called_invalid() {
    let rows = [
        ("\"ann lee\"@example.com", AddressError::QuotedLocalPart),
        ("ann.\"lee\"@example.com", AddressError::QuotedLocalPart),
        ("\"a@b\"@example.com", AddressError::QuotedLocalPart),
        ("ann(work)@example.com", AddressError::Comment),
        ("ann@example.com (work)", AddressError::Comment),
        ("ann@[192.0.2.1]", AddressError::DomainLiteral),
        ("ann@[IPv6:2001:db8::1]", AddressError::DomainLiteral),
    ];
    for (text, expected) in rows {
        let error = Address::parse(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        let sentence = error.sentence();
        assert!(sentence.contains("legal but unusual"), "{sentence}");
        assert!(
            !sentence.contains("invalid") && !sentence.contains("not an email"),
            "{sentence}"
        );
    }
}

#[test]
fn names_outside_the_public_dns_are_refused() {
    for name in [
        "test",
        "invalid",
        "local",
        "localhost",
        "onion",
        "arpa",
        "internal",
        "alt",
    ] {
        for text in [
            format!("ann@mail.{name}"),
            format!("ann@MAIL.{}", name.to_uppercase()),
        ] {
            assert_eq!(
                Address::parse(&text),
                Err(AddressError::ReservedDomain),
                "{text}"
            );
        }
        assert!(Address::parse(&format!("ann@{name}.com")).is_ok(), "{name}");
    }
    assert!(
        Address::parse("ann@lead.example").is_ok(),
        "for DNS to refuse"
    );
}

#[test]
fn a_domain_of_mixed_scripts_is_shown_with_its_a_label() {
    let rows = [
        ("ann@paypal.com", "ann@paypal.com", false, "one script"),
        (
            "ann@p\u{430}ypal.com",
            "ann@p\u{430}ypal.com (xn--pypal-4ve.com)",
            true,
            "a Cyrillic letter among Latin ones",
        ),
        (
            "ann@\u{440}\u{430}\u{443}.com",
            "ann@\u{440}\u{430}\u{443}.com (xn--80a5ak.com)",
            false,
            "a Cyrillic label, honest by itself, under a Latin one",
        ),
        (
            "ann@bücher.example",
            "ann@bücher.example",
            false,
            "Latin with a mark",
        ),
        (
            "ann@東京カメラ.日本",
            "ann@東京カメラ.日本",
            false,
            "Japanese is written in three scripts",
        ),
        ("राम@मोहन.ईन्फो", "राम@मोहन.ईन्फो", false, "one script"),
    ];
    for (text, shown, mixes, why) in rows {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.shown(), shown, "{why}");
        assert_eq!(address.mixes_scripts(), mixes, "{why}");
    }
}

#[test]
fn a_label_of_only_look_alikes_reads_back_as_it_was() {
    for text in [
        "ann@bücher.example",
        "ann@straße.example",
        "ann@मोहन.ईन्फो",
        "ann@faß.de",
    ] {
        let address = Address::parse(text).unwrap();
        let shown = address.shown();
        assert_eq!(Address::parse(&shown), Ok(address), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd_to_be_read(text in any::<String>()) {
        let _ = Address::parse(&text).map_err(|error| error.sentence());
    }

    #[test]
    fn what_looks_like_an_address_is_read_or_refused(text in "[a-z.\"<(\u{e9}\u{202e}]{0,8}@{1,2}[a-z0-9.\\-\\[\u{ff20}\u{3002}]{0,12}") {
        if let Ok(address) = Address::parse(&text) {
            prop_assert_eq!(Address::parse(address.as_str()), Ok(address.clone()), "reading it again changes nothing");
            prop_assert_eq!(Address::parse(&address.as_str().to_uppercase()).map(|upper| upper.key_form()), Ok(address.key_form()));
            prop_assert!(address.as_str().len() <= leadlight::address::MAX_OCTETS);
        }
    }
}

//! A message as its sender asked for it, checked field by field, and as SES takes it.
//!
//! Nothing that a caller gives can become a header of its own, or a second recipient: no control character passes in a name, a
//! subject or a value, names of headers are RFC 5322 `ftext`, and what the message or SES sets itself is reserved. Limits: SES
//! API v2 reference, `MessageHeader`, `Attachment`; SES developer guide, *quotas*.

use std::collections::BTreeSet;

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::SendEmailInput;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Attachment as SesAttachment, Body, Content, Destination, EmailContent, Message as SesMessage,
    MessageHeader, MessageTag,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leadlight::address::Address;
use leadlight::api::{Attachment, Header, ListUnsubscribe, Mailbox, SendRecipient, SendRequest};
use leadlight::gate::MAX_RECIPIENTS;
use leadlight::lead::LeadId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::problem::Refusal;

/// The most characters of a subject: a line of RFC 5322 section 2.1.1.
const MAX_SUBJECT: usize = 998;
/// The most characters of a display name: more is no name.
const MAX_NAME: usize = 256;
/// The most characters of a file's name (most file systems).
const MAX_FILE_NAME: usize = 255;
/// The most characters of a media type that SES takes.
const MAX_CONTENT_TYPE: usize = 78;
/// The most headers of a sender's own that SES takes, those for unsubscribing among them.
const MAX_HEADERS: usize = 15;
/// The most characters of a header's name that SES takes.
const MAX_HEADER_NAME: usize = 126;
/// The most characters of a header's name and value together that SES takes.
const MAX_HEADER: usize = 996;
/// The octets that an encoded word holds: 60 of its 75 characters are Base64 (RFC 2047 section 2).
const ENCODED_WORD_OCTETS: usize = 45;

/// Headers that the message's other fields or SES set, in lower case.
const RESERVED: [&str; 13] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "return-path",
    "sender",
    "received",
    "mime-version",
    "dkim-signature",
];
/// What the names of such headers begin with, in lower case.
const RESERVED_PREFIXES: [&str; 4] = ["content-", "list-unsubscribe", "resent-", "x-ses-"];

/// A message that is fit to be sent, less the recipients that the gate may take out.
pub(super) struct Draft {
    pub(super) from: Address,
    sender: String,
    reply_to: Vec<String>,
    /// To, Cc and Bcc one after the other; a recipient's place here is its position.
    pub(super) addressees: Vec<Addressee>,
    content: EmailContent,
}

/// One recipient.
pub(super) struct Addressee {
    line: Line,
    pub(super) address: Address,
    pub(super) lead: Option<LeadId>,
    mailbox: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    To,
    Cc,
    Bcc,
}

impl Draft {
    /// Checks a request.
    ///
    /// # Errors
    /// 422 with the first field that is wrong.
    pub(super) fn read(request: &SendRequest) -> Result<Self, Refusal> {
        let (from, sender) = read_mailbox("/from", &request.from)?;
        let reply_to = request.reply_to.iter().enumerate().map(|(place, mailbox)| {
            let (_, mailbox) = read_mailbox(&format!("/reply_to/{place}"), mailbox)?;
            Ok(mailbox)
        });
        Ok(Self {
            from,
            sender,
            reply_to: reply_to.collect::<Result<_, Refusal>>()?,
            addressees: read_addressees(request)?,
            content: read_content(request)?,
        })
    }

    /// The call of SES that sends the message to the recipients at `positions`, each mailbox once.
    pub(super) fn compose(
        self,
        positions: &BTreeSet<usize>,
        tags: Vec<(&str, &str)>,
        ses_tenant: Option<&str>,
    ) -> Result<SendEmailInput, BuildError> {
        let mut mailboxes = BTreeSet::new();
        let mut destination = Destination::builder();
        let addressees = self.addressees.into_iter().enumerate();
        for (_, addressee) in addressees.filter(|(position, _)| positions.contains(position)) {
            if !mailboxes.insert(addressee.address.key_form()) {
                continue;
            }
            destination = match addressee.line {
                Line::To => destination.to_addresses(addressee.mailbox),
                Line::Cc => destination.cc_addresses(addressee.mailbox),
                Line::Bcc => destination.bcc_addresses(addressee.mailbox),
            };
        }
        let tags = tags
            .into_iter()
            .filter(|(_, value)| is_tag(value))
            .map(|(name, value)| MessageTag::builder().name(name).value(value).build());
        SendEmailInput::builder()
            .from_email_address(self.sender)
            .destination(destination.build())
            .set_reply_to_addresses((!self.reply_to.is_empty()).then_some(self.reply_to))
            .content(self.content)
            .set_email_tags(Some(tags.collect::<Result<_, _>>()?))
            .set_tenant_name(ses_tenant.map(str::to_owned))
            .build()
    }
}

/// Whether SES takes it as the value of a tag. A lead's id may hold `:` or `~`, which it does not.
fn is_tag(value: &str) -> bool {
    value
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || b"-_.@".contains(&octet))
}

fn read_addressees(request: &SendRequest) -> Result<Vec<Addressee>, Refusal> {
    let lines = [
        (Line::To, "to", &request.to),
        (Line::Cc, "cc", &request.cc),
        (Line::Bcc, "bcc", &request.bcc),
    ];
    let recipients: usize = lines
        .iter()
        .map(|(_, _, recipients)| recipients.len())
        .sum();
    if recipients == 0 {
        return Err(Refusal::invalid_field(
            "/to",
            "too_few",
            "at least one recipient is needed, in to, cc or bcc",
        ));
    }
    if recipients > MAX_RECIPIENTS {
        return Err(Refusal::invalid_field(
            "/to",
            "too_many",
            format!("at most {MAX_RECIPIENTS} recipients in to, cc and bcc together"),
        ));
    }
    let mut addressees = Vec::with_capacity(recipients);
    for (line, name, recipients) in lines {
        for (place, recipient) in recipients.iter().enumerate() {
            let SendRecipient {
                address,
                name: display_name,
                lead_id,
            } = recipient.clone();
            let mailbox = Mailbox {
                address,
                name: display_name,
            };
            let (address, mailbox) = read_mailbox(&format!("/{name}/{place}"), &mailbox)?;
            addressees.push(Addressee {
                line,
                address,
                lead: lead_id,
                mailbox,
            });
        }
    }
    Ok(addressees)
}

/// A mailbox, as its address and as the text of a header.
fn read_mailbox(field: &str, mailbox: &Mailbox) -> Result<(Address, String), Refusal> {
    let address_field = format!("{field}/address");
    let address = Address::parse(&mailbox.address)
        .map_err(|error| Refusal::invalid_address(&address_field, &error))?;
    if !address.is_sendable_by_ses() {
        return Err(Refusal::invalid_field(
            address_field,
            "not_sendable",
            "Amazon SES cannot send where the part before the @ is not ASCII",
        ));
    }
    let Some(name) = mailbox.name.as_deref().map(str::trim) else {
        let text = address.as_str().to_owned();
        return Ok((address, text));
    };
    check_line(&format!("{field}/name"), name, MAX_NAME)?;
    let text = match name {
        "" => address.as_str().to_owned(),
        name => format!("{} <{}>", phrase(name), address.as_str()),
    };
    Ok((address, text))
}

/// A display name as a header can hold it: a quoted string (RFC 5322 section 3.2.4), or encoded words (RFC 2047) for what is not
/// ASCII or would be taken for an encoded word.
fn phrase(name: &str) -> String {
    if name.is_ascii() && !name.contains("=?") {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut words = vec![String::new()];
    for character in name.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= ENCODED_WORD_OCTETS => {
                word.push(character);
            }
            Some(_) | None => words.push(character.to_string()),
        }
    }
    let encoded = |word: &String| format!("=?UTF-8?B?{}?=", STANDARD.encode(word));
    words.iter().map(encoded).collect::<Vec<_>>().join(" ")
}

/// Refuses what is no single line of text.
fn check_line(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    let breaks_lines = |c: &char| c.is_control() || ('\u{2028}'..='\u{2029}').contains(c);
    if let Some((position, _)) = text
        .chars()
        .enumerate()
        .find(|(_, character)| breaks_lines(character))
    {
        return Err(Refusal::invalid_field(
            field,
            "control_character",
            format!(
                "must not hold a control character (position {})",
                position + 1
            ),
        ));
    }
    if text.chars().nth(most).is_some() {
        return Err(Refusal::invalid_field(
            field,
            "too_long",
            format!("must have at most {most} characters"),
        ));
    }
    Ok(())
}

fn read_content(request: &SendRequest) -> Result<EmailContent, Refusal> {
    if request.subject.trim().is_empty() {
        return Err(Refusal::invalid_field(
            "/subject",
            "missing",
            "a message needs a subject",
        ));
    }
    check_line("/subject", &request.subject, MAX_SUBJECT)?;
    if request.text.is_none() && request.html.is_none() {
        return Err(Refusal::invalid_field(
            "/text",
            "missing",
            "a message needs text, html or both",
        ));
    }
    let own = request.headers.iter().enumerate();
    let mut headers = own
        .map(|(place, header)| read_header(place, header))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(list_unsubscribe) = &request.list_unsubscribe {
        headers.extend(read_list_unsubscribe(list_unsubscribe)?);
    }
    if headers.len() > MAX_HEADERS {
        return Err(Refusal::invalid_field(
            "/headers",
            "too_many",
            format!("at most {MAX_HEADERS} headers, those of list_unsubscribe among them"),
        ));
    }
    let attachments = request.attachments.iter().enumerate();
    let attachments = attachments
        .map(|(place, attachment)| read_attachment(place, attachment))
        .collect::<Result<Vec<_>, _>>()?;
    let body = Body::builder()
        .set_text(request.text.as_deref().map(utf8).transpose()?)
        .set_html(request.html.as_deref().map(utf8).transpose()?);
    let message = SesMessage::builder()
        .subject(utf8(&request.subject)?)
        .body(body.build())
        .set_headers((!headers.is_empty()).then_some(headers))
        .set_attachments((!attachments.is_empty()).then_some(attachments));
    Ok(EmailContent::builder().simple(message.build()).build())
}

fn utf8(text: &str) -> Result<Content, Refusal> {
    let content = Content::builder().data(text).charset("UTF-8").build();
    content.map_err(|error| Refusal::internal(&error))
}

fn header(name: &str, value: &str) -> Result<MessageHeader, Refusal> {
    let header = MessageHeader::builder().name(name).value(value).build();
    header.map_err(|error| Refusal::internal(&error))
}

fn read_header(place: usize, given: &Header) -> Result<MessageHeader, Refusal> {
    let Header { name, value } = given;
    let refuse = |part: &str, code, detail: String| {
        Refusal::invalid_field(format!("/headers/{place}/{part}"), code, detail)
    };
    let is_ftext = |octet: u8| octet.is_ascii_graphic() && octet != b':';
    if name.is_empty() || name.len() > MAX_HEADER_NAME || !name.bytes().all(is_ftext) {
        let detail =
            format!("must be 1 to {MAX_HEADER_NAME} visible ASCII characters without a colon");
        return Err(refuse("name", "invalid_name", detail));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| lower.starts_with(prefix))
    {
        let detail = "is set by the message's other fields, or by Amazon SES".to_owned();
        return Err(refuse("name", "reserved", detail));
    }
    if !value.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        let detail = "must be printable ASCII on one line".to_owned();
        return Err(refuse("value", "invalid_value", detail));
    }
    if name.len() + value.len() > MAX_HEADER {
        let detail = format!("must have at most {MAX_HEADER} characters with its name");
        return Err(refuse("value", "too_long", detail));
    }
    header(name, value)
}

/// `List-Unsubscribe` (RFC 2369 section 3.2) and, for an address on the web, one-click (RFC 8058 section 3.1).
fn read_list_unsubscribe(given: &ListUnsubscribe) -> Result<Vec<MessageHeader>, Refusal> {
    let mut ways = Vec::new();
    if let Some(url) = &given.url {
        let rest = url.strip_prefix("https://").unwrap_or_default();
        let is_plain = rest
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !b"<>,\"\\".contains(&octet));
        let has_host = rest
            .bytes()
            .next()
            .is_some_and(|octet| octet.is_ascii_alphanumeric());
        if !is_plain || !has_host {
            return Err(Refusal::invalid_field(
                "/list_unsubscribe/url",
                "invalid_url",
                "must be an https address in ASCII, without blanks, commas and angle brackets",
            ));
        }
        ways.push(format!("<{url}>"));
    }
    if let Some(mailto) = &given.mailto {
        let field = "/list_unsubscribe/mailto";
        let address =
            Address::parse(mailto).map_err(|error| Refusal::invalid_address(field, &error))?;
        let local = utf8_percent_encode(address.local_part(), NON_ALPHANUMERIC);
        let domain = address.domain();
        ways.push(format!("<mailto:{local}@{domain}?subject=unsubscribe>"));
    }
    let value = ways.join(", ");
    if value.is_empty() {
        return Err(Refusal::invalid_field(
            "/list_unsubscribe",
            "missing",
            "url, mailto or both are needed",
        ));
    }
    let name = "List-Unsubscribe";
    if name.len() + value.len() > MAX_HEADER {
        return Err(Refusal::invalid_field(
            "/list_unsubscribe/url",
            "too_long",
            format!("makes a header of more than {MAX_HEADER} characters"),
        ));
    }
    let mut headers = vec![header(name, &value)?];
    if given.url.is_some() {
        headers.push(header(
            "List-Unsubscribe-Post",
            "List-Unsubscribe=One-Click",
        )?);
    }
    Ok(headers)
}

fn read_attachment(place: usize, given: &Attachment) -> Result<SesAttachment, Refusal> {
    let field = |part: &str| format!("/attachments/{place}/{part}");
    if given.name.trim().is_empty() || given.name.contains(['"', '\\', '/']) {
        return Err(Refusal::invalid_field(
            field("name"),
            "invalid_name",
            "must be the name of a file, without quotes and slashes",
        ));
    }
    check_line(&field("name"), &given.name, MAX_FILE_NAME)?;
    if let Some(content_type) = &given.content_type
        && !is_media_type(content_type)
    {
        return Err(Refusal::invalid_field(
            field("content_type"),
            "invalid_media_type",
            "must be a media type without parameters, such as application/pdf",
        ));
    }
    let octets = STANDARD.decode(&given.content).map_err(|_| {
        Refusal::invalid_field(
            field("content"),
            "not_base64",
            "must be Base64, with padding",
        )
    })?;
    let attachment = SesAttachment::builder()
        .file_name(&given.name)
        .set_content_type(given.content_type.clone())
        .raw_content(Blob::new(octets))
        .build();
    attachment.map_err(|error| Refusal::internal(&error))
}

/// `type/subtype`, each a `restricted-name` (RFC 6838 section 4.2).
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&octet))
    };
    text.len() <= MAX_CONTENT_TYPE
        && text
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A request with the fields of `change` over those of a plain one.
    fn read(change: Value) -> Result<Draft, (String, String)> {
        let mut request = json!({
            "from": { "address": "crm@mail.acme.example" },
            "to": [{ "address": "ann@lead.example" }],
            "subject": "Hello",
            "text": "Hello Ann",
        });
        let (Value::Object(fields), Value::Object(change)) = (&mut request, change) else {
            panic!("both are objects");
        };
        fields.extend(change);
        fields.retain(|_, value| !value.is_null());
        let request: SendRequest = serde_json::from_value(request).unwrap();
        Draft::read(&request).map_err(|refusal| {
            let problem = refusal.problem();
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&problem.field), text(&problem.code))
        })
    }

    fn composed(change: Value) -> SendEmailInput {
        let draft = read(change).unwrap_or_else(|refused| panic!("{refused:?}"));
        let all = (0..draft.addressees.len()).collect();
        draft
            .compose(&all, vec![("leadlight-account", "acme")], None)
            .unwrap()
    }

    fn simple(input: &SendEmailInput) -> &SesMessage {
        input.content().unwrap().simple().unwrap()
    }

    fn headers(input: &SendEmailInput) -> Vec<(&str, &str)> {
        let headers = simple(input).headers().iter();
        headers
            .map(|header| (header.name(), header.value()))
            .collect()
    }

    #[track_caller]
    fn refused(why: &str, change: Value, field: &str, code: &str) {
        let refusal = read(change).map(|_| ()).unwrap_err();
        assert_eq!(refusal, (field.to_owned(), code.to_owned()), "{why}");
    }

    #[test]
    fn no_value_becomes_a_header_of_its_own() {
        let injections = [
            ("a line feed", "x\nBcc: eve@evil.example"),
            ("CR LF", "x\r\nBcc: eve@evil.example"),
            ("a carriage return", "x\rBcc: eve@evil.example"),
            ("a folded line", "x\r\n Bcc: eve@evil.example"),
            ("a NUL", "x\0"),
            ("a vertical tab", "x\u{b}Bcc: eve@evil.example"),
            ("a form feed", "x\u{c}Bcc: eve@evil.example"),
            ("NEXT LINE", "x\u{85}Bcc: eve@evil.example"),
            ("LINE SEPARATOR", "x\u{2028}Bcc: eve@evil.example"),
            ("PARAGRAPH SEPARATOR", "x\u{2029}Bcc: eve@evil.example"),
            ("a final line feed and more", "x\n\ny"),
        ];
        for (why, text) in injections {
            let named = json!({ "address": "ann@lead.example", "name": text });
            let control = "control_character";
            refused(why, json!({ "subject": text }), "/subject", control);
            refused(why, json!({ "from": named }), "/from/name", control);
            refused(why, json!({ "to": [named] }), "/to/0/name", control);
            refused(why, json!({ "cc": [named] }), "/cc/0/name", control);
            refused(why, json!({ "bcc": [named] }), "/bcc/0/name", control);
            refused(
                why,
                json!({ "reply_to": [named] }),
                "/reply_to/0/name",
                control,
            );
            let header = json!([{ "name": "X-Campaign", "value": text }]);
            refused(
                why,
                json!({ "headers": header }),
                "/headers/0/value",
                "invalid_value",
            );
            let header = json!([{ "name": text, "value": "1" }]);
            refused(
                why,
                json!({ "headers": header }),
                "/headers/0/name",
                "invalid_name",
            );
            let url = json!({ "url": format!("https://acme.example/{text}") });
            refused(
                why,
                json!({ "list_unsubscribe": url }),
                "/list_unsubscribe/url",
                "invalid_url",
            );
            let file = json!([{ "name": text, "content": "" }]);
            refused(
                why,
                json!({ "attachments": file }),
                "/attachments/0/name",
                control,
            );
            let file = json!([{ "name": "a.txt", "content": "", "content_type": text }]);
            let field = "/attachments/0/content_type";
            refused(
                why,
                json!({ "attachments": file }),
                field,
                "invalid_media_type",
            );
            for field in ["to", "cc", "bcc", "reply_to"] {
                let attack = format!("ann{text}@lead.example");
                let refusal = read(json!({ field: [{ "address": attack }] })).map(|_| ());
                assert_eq!(
                    refusal.unwrap_err().0,
                    format!("/{field}/0/address"),
                    "{why}"
                );
            }
        }
    }

    #[test]
    fn nobody_gets_in_by_a_name() {
        let to = |input: &SendEmailInput| input.destination().unwrap().to_addresses().to_vec();
        for (name, expected) in [
            ("Ann", "\"Ann\" <ann@lead.example>"),
            ("Lead, Ann", "\"Lead, Ann\" <ann@lead.example>"),
            (
                "\" <eve@evil.example>, \"",
                "\"\\\" <eve@evil.example>, \\\"\" <ann@lead.example>",
            ),
            ("\\", "\"\\\\\" <ann@lead.example>"),
            ("Zoë", "=?UTF-8?B?Wm/Dqw==?= <ann@lead.example>"),
            (
                "=?UTF-8?Q?=0ABcc:_eve?=",
                "=?UTF-8?B?PT9VVEYtOD9RPz0wQUJjYzpfZXZlPz0=?= <ann@lead.example>",
            ),
            ("  ", "ann@lead.example"),
        ] {
            let sent = composed(json!({ "to": [{ "address": "ann@lead.example", "name": name }] }));
            assert_eq!(to(&sent), [expected], "{name}");
        }
        let long = "Ä".repeat(100);
        let sent = composed(json!({ "to": [{ "address": "ann@lead.example", "name": long }] }));
        let words: Vec<String> = to(&sent)[0].split(' ').map(str::to_owned).collect();
        assert!(words.iter().all(|word| word.len() <= 75), "{words:?}");
        assert_eq!(words.len(), 6);
    }

    #[test]
    fn headers_that_are_not_the_senders_are_reserved() {
        for name in [
            "From",
            "to",
            "CC",
            "Bcc",
            "Subject",
            "Date",
            "Message-ID",
            "Reply-To",
            "Return-Path",
            "Sender",
            "Received",
            "MIME-Version",
            "Content-Type",
            "content-transfer-encoding",
            "DKIM-Signature",
            "List-Unsubscribe",
            "List-Unsubscribe-Post",
            "X-SES-CONFIGURATION-SET",
            "x-ses-message-tags",
            "Resent-To",
        ] {
            let header =
                json!([{ "name": "X-Fine", "value": "1" }, { "name": name, "value": "1" }]);
            refused(
                name,
                json!({ "headers": header }),
                "/headers/1/name",
                "reserved",
            );
        }
        for name in ["", "X:Y", "X Y", "X-\u{e4}", &"x".repeat(127)] {
            let header = json!([{ "name": name, "value": "1" }]);
            refused(
                name,
                json!({ "headers": header }),
                "/headers/0/name",
                "invalid_name",
            );
        }
        let header = json!([{ "name": "X-A", "value": "\u{e4}" }]);
        refused(
            "not ASCII",
            json!({ "headers": header }),
            "/headers/0/value",
            "invalid_value",
        );
        let header = json!([{ "name": "X-A", "value": "v".repeat(994) }]);
        refused(
            "too long",
            json!({ "headers": header }),
            "/headers/0/value",
            "too_long",
        );
        let many: Vec<Value> = (0..16)
            .map(|n| json!({ "name": format!("X-{n}"), "value": "1" }))
            .collect();
        refused(
            "too many",
            json!({ "headers": many }),
            "/headers",
            "too_many",
        );
        let sent =
            composed(json!({ "headers": [{ "name": "X-Campaign", "value": "spring 2026" }] }));
        assert_eq!(headers(&sent), [("X-Campaign", "spring 2026")]);
    }

    #[test]
    fn unsubscribing_takes_one_click() {
        let both =
            json!({ "url": "https://acme.example/u?t=1", "mailto": "leave+me@acme.example" });
        let sent = composed(json!({ "list_unsubscribe": both }));
        let value =
            "<https://acme.example/u?t=1>, <mailto:leave%2Bme@acme.example?subject=unsubscribe>";
        let one_click = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        assert_eq!(headers(&sent), [("List-Unsubscribe", value), one_click]);
        let sent = composed(json!({ "list_unsubscribe": { "mailto": "leave@acme.example" } }));
        assert_eq!(
            headers(&sent),
            [(
                "List-Unsubscribe",
                "<mailto:leave@acme.example?subject=unsubscribe>"
            )]
        );
        for url in [
            "http://acme.example/u",
            "https://",
            "ftp://acme.example",
            "javascript:alert(1)",
            "https://a.example/ b",
            "https://a.example/>, <mailto:eve@evil.example",
            "https://a.example/,b",
            "https:///u",
            "HTTPS",
        ] {
            let field = "/list_unsubscribe/url";
            refused(
                url,
                json!({ "list_unsubscribe": { "url": url } }),
                field,
                "invalid_url",
            );
        }
        refused(
            "no way out",
            json!({ "list_unsubscribe": {} }),
            "/list_unsubscribe",
            "missing",
        );
        let field = "/list_unsubscribe/mailto";
        let wrong = json!({ "list_unsubscribe": { "mailto": "Leave <leave@acme.example>" } });
        refused("a display name", wrong, field, "display_name");
        let long = json!({ "url": format!("https://a.example/{}", "u".repeat(980)) });
        refused(
            "too long",
            json!({ "list_unsubscribe": long }),
            "/list_unsubscribe/url",
            "too_long",
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let many: Vec<Value> = (0..51)
            .map(|n| json!({ "address": format!("a{n}@lead.example") }))
            .collect();
        refused("nobody", json!({ "to": [] }), "/to", "too_few");
        refused(
            "51",
            json!({ "to": many[..20], "cc": many[20..40], "bcc": many[40..] }),
            "/to",
            "too_many",
        );
        refused(
            "no subject",
            json!({ "subject": " " }),
            "/subject",
            "missing",
        );
        refused(
            "a long subject",
            json!({ "subject": "s".repeat(999) }),
            "/subject",
            "too_long",
        );
        refused("no body", json!({ "text": null }), "/text", "missing");
        let file = json!([{ "name": "a.txt", "content": "%%" }]);
        refused(
            "no Base64",
            json!({ "attachments": file }),
            "/attachments/0/content",
            "not_base64",
        );
        for name in ["", "a/b.txt", "a\\b.txt", "a\"; x=\"b.txt"] {
            let file = json!([{ "name": name, "content": "" }]);
            refused(
                name,
                json!({ "attachments": file }),
                "/attachments/0/name",
                "invalid_name",
            );
        }
        for kind in [
            "",
            "pdf",
            "application/",
            "/pdf",
            "text/plain; charset=utf-8",
            "text/pl ain",
        ] {
            let file = json!([{ "name": "a.txt", "content": "", "content_type": kind }]);
            let field = "/attachments/0/content_type";
            refused(
                kind,
                json!({ "attachments": file }),
                field,
                "invalid_media_type",
            );
        }
        let pasted = json!({ "to": [{ "address": "ann@lead.example" }, { "address": "Bob <bob@lead.example>" }] });
        refused("a display name", pasted, "/to/1/address", "display_name");
        let eai = json!({ "cc": [{ "address": "z\u{f6}e@lead.example" }] });
        refused("SES has no SMTPUTF8", eai, "/cc/0/address", "not_sendable");
    }

    #[test]
    fn a_whole_message_reaches_ses_as_it_was_meant() {
        let sent = composed(json!({
            "from": { "address": "crm@mail.acme.example", "name": "Acme CRM" },
            "to": [{ "address": "ann@lead.example" }],
            "cc": [{ "address": "ANN@lead.example" }, { "address": "bob@lead.example" }],
            "bcc": [{ "address": "eve@lead.example" }],
            "reply_to": [{ "address": "help@acme.example", "name": "Help" }],
            "subject": "Grüße",
            "html": "<p>Hello</p>",
            "attachments": [{ "name": "r\u{e9}sum\u{e9}.pdf", "content_type": "application/pdf", "content": "AAEC" }],
        }));
        assert_eq!(
            sent.from_email_address(),
            Some("\"Acme CRM\" <crm@mail.acme.example>")
        );
        let destination = sent.destination().unwrap();
        assert_eq!(destination.to_addresses(), ["ann@lead.example"]);
        assert_eq!(
            destination.cc_addresses(),
            ["bob@lead.example"],
            "nobody gets it twice"
        );
        assert_eq!(destination.bcc_addresses(), ["eve@lead.example"]);
        assert_eq!(sent.reply_to_addresses(), ["\"Help\" <help@acme.example>"]);
        let message = simple(&sent);
        assert_eq!(message.subject().unwrap().data(), "Grüße");
        assert_eq!(
            message.body().unwrap().html().unwrap().data(),
            "<p>Hello</p>"
        );
        let attachment = &message.attachments()[0];
        assert_eq!(attachment.raw_content().as_ref(), [0, 1, 2]);
        assert_eq!(attachment.content_type(), Some("application/pdf"));
    }
}

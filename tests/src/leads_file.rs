//! The operator's verification of a whole file of leads: what it writes, how politely it asks, and how it goes on after it was killed.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use leadlight_dev::dns::{Fault, Server, Zone};
use leadlight_dev::lambdas;
use leadlight_dev::progress::Progress as Building;
use serde_json::Value;
use tokio::process::Command;

/// Where the binaries are, built from the sources as they are now.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| lambdas::build(&Building::silent()).unwrap());

/// A file of leads in a folder of its own, and a name server for its domains.
struct Desk {
    folder: tempfile::TempDir,
    dns: Server,
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    async fn new(zone: Zone, leads: &str) -> Self {
        tokio::task::spawn_blocking(|| LazyLock::force(&BUILT))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("leads.csv"), leads).unwrap();
        let dns = Server::start(zone).await.unwrap();
        Self { folder, dns }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BUILT.join("leadlight-support"));
        command
            .args([
                "verify",
                "leads.csv",
                "--dns",
                &self.dns.address().to_string(),
            ])
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().await.unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The output's verdict, detail and suggestion by address.
    fn output(&self) -> BTreeMap<String, [String; 3]> {
        let text = fs::read_to_string(self.file("leads.verified.csv")).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("id,email,verdict,detail,sentence,suggestion")
        );
        let row = |line: &str| {
            // No sentence of these rows holds a quote.
            let (before, after) = match line.split_once('"') {
                Some((before, rest)) => (before, rest.split_once('"').unwrap().1),
                None => line
                    .rsplit_once(',')
                    .map(|(before, _)| (before, line.rsplit_once(',').map_or("", |(_, last)| last)))
                    .unwrap(),
            };
            let mut fields = before.split(',');
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let _id = next();
            let email = next();
            (
                email,
                [next(), next(), after.trim_start_matches(',').to_owned()],
            )
        };
        lines.map(row).collect()
    }
}

fn public() -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 5)
}

fn told<'a>(verdict: &'a str, detail: &'a str, suggestion: &'a str) -> [String; 3] {
    [verdict, detail, suggestion].map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_gets_its_verdict_and_each_domain_is_asked_about_once() {
    // Nothing is remembered by the resolver: asked once means asked once by us.
    let zone = Zone::default()
        .ttl(0)
        .mail("lead.example", public())
        .mail("gmai.com", public())
        .null_mx("null.example");
    let leads = "id,email\n\
                 1,ann@lead.example\n\
                 2,Ben@Lead.example\n\
                 3,ben@lead.example\n\
                 4,info@lead.example\n\
                 5,cleo@null.example\n\
                 6,dan@gone.example\n\
                 7,eve@gmai.com\n\
                 8,no address\n\
                 9,\n";
    let desk = Desk::new(zone, leads).await;
    let ended = desk.run(&["--json"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let output = desk.output();
    let expected = [
        ("ann@lead.example", told("deliverable", "", "")),
        ("Ben@Lead.example", told("deliverable", "", "")),
        ("ben@lead.example", told("deliverable", "", "")),
        ("info@lead.example", told("risky", "role", "")),
        ("cleo@null.example", told("undeliverable", "null_mx", "")),
        (
            "dan@gone.example",
            told("undeliverable", "no_such_domain", ""),
        ),
        ("eve@gmai.com", told("deliverable", "", "eve@gmail.com")),
        ("no address", told("undeliverable", "bad_syntax", "")),
        ("", told("undeliverable", "bad_syntax", "")),
    ];
    assert_eq!(output.len(), expected.len());
    for (address, expected) in expected {
        assert_eq!(output[address], expected, "{address}");
    }
    for domain in ["lead.example", "null.example", "gone.example", "gmai.com"] {
        let asked = desk.dns.questions();
        let mx = asked
            .iter()
            .filter(|question| question.name == domain && question.kind == "MX");
        assert_eq!(mx.count(), 1, "{domain}");
    }
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["addresses"], &summary["domains"]),
        (&9.into(), &6.into(), &4.into()),
        "{summary}"
    );
    assert_eq!(summary["verdicts"]["undeliverable"], 4, "{summary}");
    assert_eq!(summary["details"]["bad_syntax"], 2, "{summary}");
    assert_eq!(summary["suggestions"], 1, "{summary}");
    assert!(!desk.file("leads.verified.csv.state").exists());
    assert_eq!(
        fs::read_to_string(desk.file("leads.csv")).unwrap(),
        leads,
        "the file itself is left alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_goes_on_where_it_was() {
    let domains: Vec<String> = (0..40).map(|n| format!("d{n:02}.example")).collect();
    let zone = domains
        .iter()
        .fold(Zone::default(), |zone, domain| zone.mail(domain, public()));
    let rows = domains
        .iter()
        .zip(1..)
        .map(|(domain, id)| format!("{id},ann@{domain}\n"));
    let leads: String = core::iter::once("id,email\n".to_owned())
        .chain(rows)
        .collect();
    let desk = Desk::new(zone, &leads).await;
    let state = desk.file("leads.verified.csv.state");
    let known =
        || fs::read_to_string(&state).map_or(0, |text| text.lines().count().saturating_sub(1));

    // Slow enough to be caught in the middle, twice.
    let mut seen = 0;
    for _ in 0..2 {
        let mut child = desk
            .command(&["--rate", "20", "--at-once", "1"])
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while known() < seen + 5 {
            assert!(begun.elapsed() < Duration::from_mins(1), "{}", known());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        seen = known();
        assert!(seen < 40, "killed in the middle");
        assert!(
            !desk.file("leads.verified.csv").exists(),
            "the output is whole or not there"
        );
    }
    // What a crash in the middle of a line leaves.
    let mut text = fs::read_to_string(&state).unwrap();
    text.push_str("{\"address\":\"ann@d3");
    fs::write(&state, text).unwrap();
    desk.dns.listen().await.unwrap();
    let asked_before = desk.dns.questions().len();

    let ended = desk.run(&["--rate", "1000", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("{seen} addresses are done")),
        "{}",
        ended.stderr
    );
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (
            &summary["known_before"],
            &summary["verdicts"]["deliverable"]
        ),
        (&seen.into(), &40.into())
    );
    let asked = desk.dns.questions().split_off(asked_before);
    let mx = asked
        .iter()
        .filter(|question| question.kind == "MX")
        .count();
    assert_eq!(mx, 40 - seen, "what was found is not asked again");
    assert_eq!(desk.output().len(), 40);
    assert!(!state.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_inconclusive_is_asked_again_by_the_same_command() {
    let zone = Zone::default()
        .mail("lead.example", public())
        .fault("down.example", Fault::ServerFailure);
    let desk = Desk::new(zone, "id,email\n1,ann@lead.example\n2,ben@down.example\n").await;
    let ended = desk.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("for 1 lines"), "{}", ended.stderr);
    assert_eq!(
        desk.output()["ben@down.example"],
        told("inconclusive", "dns_failure", "")
    );
    assert_eq!(
        desk.output()["ann@lead.example"],
        told("deliverable", "", "")
    );

    desk.dns
        .change(|zone| zone.without("down.example").mail("down.example", public()));
    desk.dns.listen().await.unwrap();
    let before = desk.dns.questions_about("lead.example");
    let ended = desk.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        desk.output()["ben@down.example"],
        told("deliverable", "", "")
    );
    desk.dns.listen().await.unwrap();
    assert_eq!(
        desk.dns.questions_about("lead.example"),
        before,
        "only what was open"
    );
    assert!(!desk.file("leads.verified.csv.state").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_are_begun_no_faster_than_allowed() {
    let domains = ["a.example", "b.example", "c.example", "d.example"];
    let zone = domains
        .iter()
        .fold(Zone::default(), |zone, domain| zone.mail(domain, public()));
    let leads =
        "id,email\n1,a@a.example\n2,b@a.example\n3,a@b.example\n4,a@c.example\n5,a@d.example\n";
    let desk = Desk::new(zone, leads).await;
    let begun = Instant::now();
    let ended = desk.run(&["--rate", "4"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        begun.elapsed() >= Duration::from_millis(750),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_verified_is_named_and_nothing_is_written() {
    let cases: [(&str, &[&str], &str); 8] = [
        ("id,mail\n", &[], "leads.csv:1: there is no column `email`"),
        (
            "id,email\n1\n",
            &[],
            "leads.csv:2: there are 1 fields where the header has 2",
        ),
        (
            "id,email\n",
            &["--column", "work"],
            "there is no column `work`; there are: id, email",
        ),
        (
            "id,email\n",
            &["--output", "leads.csv"],
            "--output names the file itself",
        ),
        ("id,email\n", &["--rate", "0"], "--rate"),
        ("id,email\n", &["--at-once", "0"], "--at-once"),
        (
            "id,email\n",
            &["--state", "leads.csv"],
            "leads.csv is no unfinished verification",
        ),
        ("id,email\n", &["--delimiter", ";;"], "--delimiter"),
    ];
    for (leads, arguments, word) in cases {
        let desk = Desk::new(Zone::default(), leads).await;
        let ended = desk.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(word),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(fs::read_to_string(desk.file("leads.csv")).unwrap(), leads);
        assert!(!desk.file("leads.verified.csv").exists(), "{arguments:?}");
    }
    let desk = Desk::new(Zone::default(), "id,email\n1,ann@lead.example\n").await;
    let mut wrong = desk.command(&[]);
    wrong.env("LEADLIGHT_BLOCKLISTS", "{");
    let output = wrong.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("LEADLIGHT_BLOCKLISTS"), "{told}");
}

/// SHA-1 of `test@lists.example` and of `ben@lead.example`, by sha1sum.
const TEST_HASH: &str = "77375a874070c83a0ccb88f9e865b45a14e013cc";
const BEN_HASH: &str = "2fd71fc01a9670e7d5428c5a2ae03d88009dcd3e";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocklists_are_asked_about_every_address_of_a_domain() {
    let listed = |zone: Zone, hash: &str| {
        zone.host(&format!("{hash}.s3cr3t.ebl.example"), [127, 0, 0, 2].into())
    };
    let zone = Zone::default().mail("lead.example", public());
    let zone = listed(listed(zone, TEST_HASH), BEN_HASH);
    let leads = "id,email\n1,ann@lead.example\n2,ben@lead.example\n3,cleo@lead.example\n";
    let desk = Desk::new(zone, leads).await;
    let list = serde_json::json!([{
        "name": "Test EBL", "zone": "{key}.ebl.example", "key": "s3cr3t", "kind": "address_sha1",
        "listed": ["127.0.0.2"], "test_point": "test@lists.example",
    }]);
    let mut command = desk.command(&["--json"]);
    command.env("LEADLIGHT_BLOCKLISTS", list.to_string());
    let output = command.output().await.unwrap();
    let told_to_operator = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told_to_operator}");
    assert!(!told_to_operator.contains("s3cr3t"), "{told_to_operator}");
    let output = desk.output();
    assert_eq!(output["ann@lead.example"], told("deliverable", "", ""));
    assert_eq!(
        output["ben@lead.example"],
        told("known_spammer", "Test EBL", "")
    );
    assert_eq!(output["cleo@lead.example"], told("deliverable", "", ""));
    let asked = desk.dns.questions();
    let mx = asked
        .iter()
        .filter(|question| question.name == "lead.example" && question.kind == "MX");
    assert_eq!(mx.count(), 1, "the domain is asked about once");
}

//! The flows on the embedded engine, disturbed where the engine is too well behaved.

use core::time::Duration;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use leadlight::address::Address;
use leadlight::evidence::{AddressRecord, Authority, Evidence, Fact, Piece};
use leadlight::lead::{Lead, LeadId, Save, Standing};
use leadlight::policy::Policy;
use leadlight::verification::{InconclusiveCause, UndeliverableCause, Verdict};
use serde_json::{Value, json};

use super::{Rig, Says};
use crate::apply::{Subject, addition, apply_evidence};
use crate::table::item::{Key, Stored};
use crate::table::{Commit, Consistency};
use crate::verifier::Freshness;

impl Rig {
    async fn record(&self, address: &str) -> Option<AddressRecord> {
        let key = self
            .app
            .address_secret
            .key_of(&Address::parse(address).unwrap());
        let key = Key::evidence(&self.account, &key);
        self.app
            .table
            .load(&key, Consistency::Strong)
            .await
            .unwrap()
            .map(|stored| stored.item)
    }

    async fn lead(&self, id: &str) -> Lead {
        let key = Key::lead(&self.account, &LeadId::parse(id).unwrap());
        self.app
            .table
            .load(&key, Consistency::Strong)
            .await
            .unwrap()
            .unwrap()
            .item
    }

    /// Lets somebody else write the evidence of the address just before the flow does, as often as said.
    fn race(&self, address: &str, times: usize) {
        let key = self
            .app
            .address_secret
            .key_of(&Address::parse(address).unwrap());
        let key = Key::evidence(&self.account, &key);
        for _ in 0..times {
            let (others, key) = (self.others.clone(), key.clone());
            self.table.before("PutItem", "evidence", async move {
                let stored: Stored<AddressRecord> = others
                    .load(&key, Consistency::Strong)
                    .await
                    .unwrap()
                    .unwrap();
                let commit = others
                    .commit(&key, &stored.item, Some(stored.version))
                    .await
                    .unwrap();
                assert_eq!(commit, Commit::Committed);
            });
        }
    }

    async fn recheck(&self, lead: &str) -> (u16, Value) {
        self.ask("POST", &format!("/v1/leads/{lead}/rechecks"), None)
            .await
    }

    async fn log(&self, lead: &str) -> Vec<String> {
        let (_, log) = self
            .ask("GET", &format!("/v1/leads/{lead}/log"), None)
            .await;
        log["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["event"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn the_story_from_a_bounce_to_safelisted() {
    let mut rig = Rig::start().await;
    let saved = rig.save("7", "ada@harbour.example").await;
    assert_eq!(
        (&saved["status"], &saved["verification"]["verdict"]),
        (&json!("active"), &json!("deliverable"))
    );

    rig.later(60);
    assert!(
        rig.deliver(&[rig.bounce("b-1", "Ada@Harbour.example", "NoEmail")])
            .await
            .is_empty()
    );
    let (_, lead) = rig.ask("GET", "/v1/leads/7", None).await;
    assert_eq!(
        (&lead["status"], &lead["reason"]),
        (&json!("blocklisted"), &json!("hard_bounce"))
    );
    assert_eq!(lead["resolution"], "after_address_change");
    let (status, problem) = rig.recheck("7").await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("address_unchanged"))
    );

    rig.later(60);
    let corrected = rig.save("7", "ada.l@harbour.example").await;
    assert_eq!(
        (&corrected["status"], &corrected["may_check_again"]),
        (&json!("blocklisted"), &json!(true))
    );

    rig.later(60);
    let (status, reply) = rig.recheck("7").await;
    assert_eq!((status, &reply["outcome"]), (200, &json!("sent")));
    assert_eq!(reply["status"]["status"], "active");
    assert_eq!(rig.lead("7").await.hold, None, "a lifted hold is taken off");

    rig.later(60);
    assert!(
        rig.deliver(&[rig.bounce("b-2", "ada.l@harbour.example", "General")])
            .await
            .is_empty()
    );
    assert_eq!(
        rig.status("7").await,
        "blocklisted",
        "a second failure blocklists again"
    );
    let log = rig.log("7").await;
    let expected = [
        "hard_bounce",
        "safelisted",
        "verified",
        "address_changed",
        "verified",
        "hard_bounce",
        "created",
        "verified",
    ];
    let without_order = |log: &[String]| log.iter().cloned().collect::<HashSet<_>>();
    assert_eq!(
        without_order(&log),
        without_order(&expected.map(str::to_owned))
    );
    assert!(log.contains(&"safelisted".to_owned()));
}

#[tokio::test]
async fn the_same_save_again_writes_nothing() {
    let mut rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.table.calls();
    rig.later(5);
    let body = json!({ "address": "ada@harbour.example", "standing": "active" });
    let (status, _) = rig.ask("PUT", "/v1/leads/7", Some(body)).await;
    assert_eq!(status, 200);
    assert_eq!(rig.table.calls(), ["GetItem", "BatchGetItem"]);
}

#[tokio::test]
async fn a_save_that_crashed_is_finished_by_its_repetition() {
    for writes_before_the_crash in 0..3 {
        let rig = Rig::start().await;
        rig.dns.mx("harbour.example");
        let table = rig.table.clone();
        let sort_keys = ["lead#7", "evidence", "lead"];
        rig.table
            .before("PutItem", sort_keys[writes_before_the_crash], async move {
                table.refuse("PutItem");
            });
        let body = Some(json!({ "address": "ada@harbour.example" }));
        // The disturbed write itself is let through; what comes after it is refused.
        let (status, _) = rig.ask("PUT", "/v1/leads/7", body.clone()).await;
        assert_eq!(
            status,
            if writes_before_the_crash == 2 {
                201
            } else {
                503
            }
        );
        rig.table.recover();
        let (status, lead) = rig.ask("PUT", "/v1/leads/7", body).await;
        assert_eq!(
            status,
            if writes_before_the_crash == 2 {
                200
            } else {
                201
            }
        );
        assert_eq!(lead["status"], "active");
        let key = rig
            .app
            .address_secret
            .key_of(&Address::parse("ada@harbour.example").unwrap());
        assert_eq!(
            rig.app
                .table
                .linked_leads(&rig.account, &key)
                .await
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn a_lost_race_for_the_evidence_is_run_again() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.race("ada@harbour.example", 5);
    rig.table.calls();
    assert!(
        rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
            .await
            .is_empty()
    );
    assert_eq!(
        rig.table
            .calls()
            .iter()
            .filter(|call| *call == "PutItem")
            .count(),
        6
    );
    assert_eq!(rig.status("7").await, "blocklisted");
}

#[tokio::test]
async fn a_first_write_does_not_overwrite_another_first_write() {
    let rig = Rig::start().await;
    let (others, account) = (rig.others.clone(), rig.account.clone());
    let address = Address::parse("ada@harbour.example").unwrap();
    let key = rig.app.address_secret.key_of(&address);
    let now = rig.now;
    rig.table.before("PutItem", "evidence", async move {
        let fact = Fact::Subscription { unsubscribed: true };
        let evidence = Evidence::from_iter([Piece::new(fact, "s-1", &key, now, now)]);
        let record = AddressRecord {
            evidence,
            ..AddressRecord::new(address)
        };
        let commit = others
            .commit(&Key::evidence(&account, &key), &record, None)
            .await;
        assert_eq!(commit.unwrap(), Commit::Committed);
    });
    let bounce = rig.bounce("b-1", "ada@harbour.example", "General");
    assert!(rig.deliver(&[bounce]).await.is_empty());
    let record = rig.record("ada@harbour.example").await.unwrap();
    assert_eq!(record.evidence.pieces().count(), 2);
}

#[tokio::test]
async fn two_first_saves_at_once_make_one_lead() {
    let rig = Rig::start().await;
    let (others, account) = (rig.others.clone(), rig.account.clone());
    let now = rig.now;
    rig.table.before("PutItem", "lead", async move {
        let id = LeadId::parse("7").unwrap();
        let address = Address::parse("ben@harbour.example").unwrap();
        let save = Save {
            address,
            standing: Some(Standing::Unconfirmed),
            standing_since: None,
        };
        let lead = Lead::new(id.clone(), save, now);
        let commit = others.commit(&Key::lead(&account, &id), &lead, None).await;
        assert_eq!(commit.unwrap(), Commit::Committed);
    });
    rig.dns.mx("harbour.example");
    let body = json!({ "address": "ada@harbour.example" });
    let (status, saved) = rig.ask("PUT", "/v1/leads/7", Some(body)).await;
    assert_eq!((status, &saved["status"]), (200, &json!("unconfirmed")));
    assert_eq!(rig.lead("7").await.former_addresses.len(), 1);
}

#[tokio::test]
async fn races_lost_without_end_go_back_to_the_queue() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.race("ada@harbour.example", 6);
    let bounce = rig.bounce("b-1", "ada@harbour.example", "General");
    assert_eq!(rig.deliver(core::slice::from_ref(&bounce)).await, ["sqs-0"]);
    assert_eq!(rig.status("7").await, "active");
    assert!(
        rig.deliver(&[bounce]).await.is_empty(),
        "the redelivery has no rival"
    );
    assert_eq!(rig.status("7").await, "blocklisted");
}

#[tokio::test]
async fn a_redelivery_is_already_known() {
    let rig = Rig::start().await;
    let bounce = rig.bounce("b-1", "ada@harbour.example", "General");
    assert!(
        rig.deliver(&[bounce.clone(), bounce.clone()])
            .await
            .is_empty()
    );
    assert_eq!(
        rig.record("ada@harbour.example")
            .await
            .unwrap()
            .evidence
            .pieces()
            .count(),
        1
    );
    rig.table.calls();
    assert!(rig.deliver(&[bounce.clone(), bounce]).await.is_empty());
    assert_eq!(
        rig.table.calls(),
        ["BatchGetItem"],
        "one load for both, and no write"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_costs_one_load_and_one_commit_for_each_address() {
    let rig = Rig::start().await;
    let notifications: Vec<Value> = (0..500)
        .map(|n| {
            rig.bounce(
                &format!("b-{n}"),
                &format!("lead{}@harbour.example", n % 150),
                "General",
            )
        })
        .collect();
    let account = rig
        .deliver(&[rig.bounce("b-x", "x@harbour.example", "General")])
        .await;
    assert!(account.is_empty());
    rig.table.calls();
    assert!(rig.deliver(&notifications).await.is_empty());
    let calls = rig.table.calls();
    assert_eq!(
        calls.iter().filter(|call| *call == "BatchGetItem").count(),
        2
    );
    assert_eq!(calls.iter().filter(|call| *call == "PutItem").count(), 150);
    assert_eq!(calls.len(), 152);
}

#[tokio::test]
async fn what_cannot_be_recorded_fails_alone() {
    let rig = Rig::start().await;
    let mut foreign = rig.bounce("b-2", "ben@harbour.example", "General");
    foreign["mail"]["tags"] = json!({ "leadlight-account": ["nobody"] });
    let mut half = rig.bounce("b-3", "cid@harbour.example", "General");
    half["bounce"]["bouncedRecipients"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "emailAddress": "no address" }));
    let notifications = [
        rig.bounce("b-1", "ada@harbour.example", "General"),
        foreign,
        half,
        json!({ "hello": "world" }),
        json!({ "Type": "SubscriptionConfirmation", "Message": "x", "SubscribeURL": "https://example.com", "Token": "t" }),
        json!({ "notificationType": "AmazonSnsSubscriptionSucceeded", "message": "x" }),
        json!({ "eventType": "Send", "mail": { "messageId": "m" }, "send": {} }),
    ];
    assert_eq!(
        rig.deliver(&notifications).await,
        ["sqs-1", "sqs-2", "sqs-3"]
    );
    for recorded in ["ada@harbour.example", "cid@harbour.example"] {
        assert!(rig.record(recorded).await.is_some(), "{recorded}");
    }
    assert!(rig.record("ben@harbour.example").await.is_none());
}

#[tokio::test]
async fn an_identity_leads_to_its_account() {
    let rig = Rig::start().await;
    let save = rig.app.table.save_identity("Acme.example", &rig.account);
    assert_eq!(save.await.unwrap(), Commit::Committed);
    let other = leadlight::account::AccountId::parse("other").unwrap();
    assert_eq!(
        rig.app
            .table
            .save_identity("acme.example", &other)
            .await
            .unwrap(),
        Commit::Conflict
    );
    let mut bounce = rig.bounce("b-1", "ada@harbour.example", "General");
    bounce["mail"]["tags"] = json!({ "ses:configuration-set": ["unknown-set"] });
    assert!(rig.deliver(&[bounce]).await.is_empty());
    assert!(rig.record("ada@harbour.example").await.is_some());
}

#[tokio::test]
async fn a_table_that_is_away_loses_nothing() {
    let rig = Rig::start().await;
    let bounce = rig.bounce("b-1", "ada@harbour.example", "General");
    assert!(
        rig.deliver(&[rig.bounce("b-0", "x@harbour.example", "General")])
            .await
            .is_empty()
    );
    rig.table.refuse("PutItem");
    assert_eq!(rig.deliver(core::slice::from_ref(&bounce)).await, ["sqs-0"]);
    let direct = crate::feedback::handle_at(&rig.app, bounce.clone(), None, rig.now).await;
    assert!(
        direct.is_err(),
        "a trigger without partial answers gets an error"
    );
    rig.table.recover();
    assert!(rig.deliver(&[bounce]).await.is_empty());
    assert!(rig.record("ada@harbour.example").await.is_some());
}

#[tokio::test]
async fn what_is_not_done_in_time_goes_back_to_the_queue() {
    let rig = Rig::start().await;
    rig.table.before(
        "PutItem",
        "evidence",
        tokio::time::sleep(Duration::from_secs(5)),
    );
    let record = json!({ "messageId": "sqs-0", "body": rig.bounce("b-1", "ada@harbour.example", "General").to_string() });
    let started = Instant::now();
    let deadline = Some(started + Duration::from_millis(1_900));
    let reply =
        crate::feedback::handle_at(&rig.app, json!({ "Records": [record] }), deadline, rig.now)
            .await
            .unwrap();
    assert_eq!(
        reply,
        json!({ "batchItemFailures": [{ "itemIdentifier": "sqs-0" }] })
    );
    assert!(started.elapsed() < Duration::from_millis(1_500));
}

// The engine shares the process, and must not wait for this much reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_records_are_one_batch() {
    let rig = Rig::start().await;
    let notifications: Vec<Value> = (0..10_000)
        .map(|n| {
            rig.bounce(
                &format!("b-{n}"),
                &format!("lead{}@harbour.example", n % 50),
                "General",
            )
        })
        .collect();
    assert!(rig.deliver(&notifications).await.is_empty());
    assert!(rig.record("lead49@harbour.example").await.is_some());
}

#[tokio::test]
async fn a_complaint_reaches_the_lead_also_after_it_left_the_address() {
    let mut rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.save("8", "ada@harbour.example").await;
    rig.later(60);
    rig.save("7", "other@harbour.example").await;
    rig.later(60);
    assert!(
        rig.deliver(&[rig.complaint("c-1", "ada@harbour.example")])
            .await
            .is_empty()
    );
    for lead in ["7", "8"] {
        let (_, found) = rig.ask("GET", &format!("/v1/leads/{lead}"), None).await;
        assert_eq!(
            (&found["reason"], &found["may_check_again"]),
            (&json!("spam_complaint"), &json!(false))
        );
        let (status, problem) = rig.recheck(lead).await;
        assert_eq!((status, &problem["code"]), (409, &json!("complaint")));
    }
}

#[tokio::test]
async fn a_crash_between_the_leads_and_the_evidence_is_finished_by_the_redelivery() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.save("7", "other@harbour.example").await;
    let complaint = rig.complaint("c-1", "ada@harbour.example");
    let table = rig.table.clone();
    rig.table.before("PutItem", "lead", async move {
        table.refuse("PutItem");
    });
    assert_eq!(
        rig.deliver(core::slice::from_ref(&complaint)).await,
        ["sqs-0"],
        "the lead is marked, the evidence is not written"
    );
    assert_eq!(rig.lead("7").await.complaints.len(), 1);
    rig.table.recover();
    assert!(
        rig.deliver(core::slice::from_ref(&complaint))
            .await
            .is_empty()
    );
    assert_eq!(rig.status("7").await, "blocklisted");

    // The other way round: known to the evidence, yet not to a lead whose mark was lost.
    let key = Key::lead(&rig.account, &LeadId::parse("7").unwrap());
    let stored = rig
        .app
        .table
        .load(&key, Consistency::Strong)
        .await
        .unwrap()
        .unwrap();
    let mut lead = stored.item;
    lead.complaints.clear();
    assert_eq!(
        rig.app
            .table
            .commit(&key, &lead, Some(stored.version))
            .await
            .unwrap(),
        Commit::Committed
    );
    assert!(rig.deliver(&[complaint]).await.is_empty());
    assert_eq!(rig.lead("7").await.complaints.len(), 1);
}

#[tokio::test]
async fn a_lead_that_takes_the_address_meanwhile_is_marked_too() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    let table = rig.app.table.clone();
    let (account, secret) = (rig.account.clone(), rig.app.address_secret.clone());
    let now = rig.now;
    rig.table.before("PutItem", "evidence", async move {
        let address = Address::parse("ada@harbour.example").unwrap();
        let id = LeadId::parse("8").unwrap();
        table
            .link(&account, &secret.key_of(&address), &id)
            .await
            .unwrap();
        let save = Save {
            address,
            standing: None,
            standing_since: None,
        };
        let lead = Lead::new(id.clone(), save, now);
        assert_eq!(
            table
                .commit(&Key::lead(&account, &id), &lead, None)
                .await
                .unwrap(),
            Commit::Committed
        );
    });
    assert!(
        rig.deliver(&[rig.complaint("c-1", "ada@harbour.example")])
            .await
            .is_empty()
    );
    assert_eq!(rig.lead("8").await.complaints.len(), 1);
}

#[tokio::test]
async fn a_hundred_statuses_are_two_batched_reads() {
    let rig = Rig::start().await;
    for lead in 0..4 {
        rig.save(
            &format!("lead-{lead}"),
            &format!("lead{lead}@harbour.example"),
        )
        .await;
    }
    rig.deliver(&[rig.bounce("b-1", "lead2@harbour.example", "General")])
        .await;
    rig.table.calls();
    let leads: Vec<String> = (0..100).map(|lead| format!("lead-{lead}")).collect();
    let (status, reply) = rig
        .ask("POST", "/v1/statuses", Some(json!({ "leads": leads })))
        .await;
    assert_eq!(status, 200);
    assert_eq!(rig.table.calls(), ["BatchGetItem", "BatchGetItem"]);
    let statuses: Vec<&str> = reply["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| status["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        &statuses[..5],
        ["active", "active", "blocklisted", "active", "unknown"]
    );
    assert_eq!(statuses.len(), 100);
}

#[tokio::test]
async fn keys_left_unprocessed_are_asked_for_again() {
    let rig = Rig::start().await;
    for lead in 0..5 {
        rig.save(
            &format!("lead-{lead}"),
            &format!("lead{lead}@harbour.example"),
        )
        .await;
    }
    rig.table.trim_batches();
    let leads: Vec<String> = (0..5).map(|lead| format!("lead-{lead}")).collect();
    let (_, reply) = rig
        .ask("POST", "/v1/statuses", Some(json!({ "leads": leads })))
        .await;
    let all_active = reply["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .all(|status| status["status"] == "active");
    assert!(all_active, "{reply}");
}

#[tokio::test]
async fn a_recheck_that_finds_nothing_out_changes_nothing() {
    let mut rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
        .await;
    let before = rig.record("ada@harbour.example").await;
    for says in [
        Says::Code(ResponseCode::ServFail),
        Says::Silence,
        Says::Nothing { soa: false },
    ] {
        rig.later(3_600);
        rig.dns.says("harbour.example", says.clone());
        let started = Instant::now();
        let (status, reply) = rig.recheck("7").await;
        assert_eq!(
            (status, &reply["outcome"]),
            (200, &json!("fail")),
            "{says:?}"
        );
        assert_eq!(reply["status"]["status"], "blocklisted");
        assert!(started.elapsed() < Duration::from_secs(5), "{says:?}");
    }
    rig.dns.mx("harbour.example");
    rig.ses.go_away();
    rig.later(3_600);
    let (_, reply) = rig.recheck("7").await;
    assert_eq!(reply["outcome"], "fail", "SES is away");
    assert_eq!(rig.record("ada@harbour.example").await, before);
    assert_eq!(
        rig.log("7")
            .await
            .iter()
            .filter(|event| *event == "recheck_failed")
            .count(),
        4
    );
}

#[tokio::test]
async fn a_recheck_of_a_dead_domain_is_sent_and_releases_nothing() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
        .await;
    rig.dns.says("harbour.example", Says::Mx(vec![(0, ".")]));
    let (_, reply) = rig.recheck("7").await;
    assert_eq!(
        (&reply["outcome"], &reply["status"]["status"]),
        (&json!("sent"), &json!("blocklisted"))
    );
    let found = &reply["verification"];
    assert_eq!(
        (&found["verdict"], &found["cause"]),
        (&json!("undeliverable"), &json!("null_mx"))
    );
    assert!(!rig.log("7").await.contains(&"safelisted".to_owned()));
}

#[tokio::test]
async fn a_release_takes_every_spelling_off_the_list_of_ses_first() {
    let rig = Rig::start().await;
    rig.save("7", "Ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ADA@Harbour.example", "General")])
        .await;
    // As SES spelled it, as it was saved, and without letter case.
    for spelling in [
        "ADA@Harbour.example",
        "Ada@harbour.example",
        "ada@harbour.example",
    ] {
        rig.ses.put(spelling, "BOUNCE");
    }
    rig.ses.put("ben@harbour.example", "BOUNCE");
    let (_, reply) = rig.recheck("7").await;
    assert_eq!(reply["status"]["status"], "active", "{reply}");
    assert_eq!(rig.ses.spellings(), ["ben@harbour.example"]);
}

#[tokio::test]
async fn a_complaint_that_only_ses_knows_stops_the_release() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
        .await;
    rig.ses.put("ada@harbour.example", "COMPLAINT");
    let (status, reply) = rig.recheck("7").await;
    assert_eq!((status, &reply["outcome"]), (200, &json!("sent")));
    assert_eq!(
        (&reply["status"]["reason"], &reply["status"]["resolution"]),
        (&json!("spam_complaint"), &json!("never"))
    );
    assert_eq!(
        rig.ses.spellings(),
        ["ada@harbour.example"],
        "the list keeps what the recipient wants"
    );
    assert!(
        reply["status"]["because"][0]
            .as_str()
            .unwrap()
            .contains("ses-feedback")
    );
    assert_eq!(rig.lead("7").await.complaints.len(), 1);
    assert_eq!(rig.recheck("7").await.0, 409);
}

#[tokio::test]
async fn consent_is_a_leads_own_whether_or_not_the_complaint_comes_again() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    let mut earlier = rig.complaint("c-1", "ada@harbour.example");
    earlier["complaint"]["timestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(
        rig.deliver(core::slice::from_ref(&earlier))
            .await
            .is_empty()
    );

    let address = Address::parse("ada@harbour.example").unwrap();
    let key = rig.app.address_secret.key_of(&address);
    let authority = Authority::Support {
        actor: "sam".to_owned(),
        with_consent: true,
    };
    let lead = LeadId::parse("7").unwrap();
    let consent = Piece::new(
        Fact::Release { lead, authority },
        "s-1",
        &key,
        rig.now,
        rig.now,
    );
    let subject = Subject {
        account: &rig.account,
        policy: &Policy::default(),
        address: &key,
    };
    let consent = |_: Option<&AddressRecord>| addition(&address, [consent.clone()]);
    apply_evidence(&rig.app.table, subject, None, consent, rig.now)
        .await
        .unwrap();
    rig.save("8", "ada@harbour.example").await;
    for _ in 0..2 {
        assert_eq!(rig.status("7").await, "active");
        assert_eq!(rig.status("8").await, "blocklisted");
        assert!(
            rig.deliver(core::slice::from_ref(&earlier))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_complaint_that_lands_during_a_recheck_wins() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
        .await;
    let rig = std::sync::Arc::new(rig);
    let other = std::sync::Arc::clone(&rig);
    rig.ses.on_look(async move {
        assert!(
            other
                .deliver(&[other.complaint("c-1", "ada@harbour.example")])
                .await
                .is_empty()
        );
    });
    let (_, reply) = rig.recheck("7").await;
    assert_eq!(reply["status"]["reason"], "spam_complaint");
    assert!(
        !rig.log("7").await.contains(&"safelisted".to_owned()),
        "nothing was released"
    );
}

#[tokio::test]
async fn a_double_press_releases_once() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "General")])
        .await;
    let ((first, _), (second, _)) = tokio::join!(rig.recheck("7"), rig.recheck("7"));
    assert!(
        [200, 409].contains(&first) && [200, 409].contains(&second),
        "{first} {second}"
    );
    assert_eq!(rig.status("7").await, "active");
    assert_eq!(
        rig.log("7")
            .await
            .iter()
            .filter(|event| *event == "safelisted")
            .count(),
        1
    );
}

#[tokio::test]
async fn presses_are_limited_for_the_lead_and_for_the_account() {
    let mut rig = Rig::start_with(Policy {
        rechecks_per_lead_per_hour: 2,
        rechecks_per_account_per_day: 3,
        ..Policy::default()
    })
    .await;
    for lead in ["7", "8"] {
        rig.save(lead, &format!("lead{lead}@harbour.example")).await;
        rig.deliver(&[rig.bounce(
            &format!("b-{lead}"),
            &format!("lead{lead}@harbour.example"),
            "General",
        )])
        .await;
    }
    rig.dns.says("harbour.example", Says::Mx(vec![(0, ".")]));
    assert_eq!(rig.recheck("7").await.0, 200);
    assert_eq!(rig.recheck("7").await.0, 200);
    let (status, problem) = rig.recheck("7").await;
    assert_eq!((status, &problem["code"]), (429, &json!("lead")));
    assert_eq!(rig.recheck("8").await.0, 200);
    let request = rig.request("POST", "/v1/leads/8/rechecks", None);
    let response = crate::rechecks::handle_at(&rig.app.checks, request, rig.now).await;
    assert_eq!(response.status().as_u16(), 429);
    let wait: i64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    let problem: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    assert_eq!(problem["code"], "account");
    rig.later(86_400);
    assert_eq!(rig.recheck("8").await.0, 200, "a new day");
}

#[tokio::test]
async fn a_policy_may_press_check_again_on_save() {
    let mut rig = Rig::start_with(Policy {
        recheck_on_save: true,
        ..Policy::default()
    })
    .await;
    rig.save("7", "ada@harbour.example").await;
    rig.deliver(&[rig.bounce("b-1", "ada@harbour.example", "NoEmail")])
        .await;
    rig.later(60);
    let saved = rig.save("7", "ada.l@harbour.example").await;
    assert_eq!(saved["status"], "active");
    assert!(rig.log("7").await.contains(&"safelisted".to_owned()));
}

#[tokio::test]
async fn a_save_that_loses_a_race_sees_what_the_winner_did() {
    let mut rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.later(60);
    let table = rig.app.table.clone();
    let key = Key::lead(&rig.account, &LeadId::parse("7").unwrap());
    rig.table.before("PutItem", "lead", async move {
        let stored = table
            .load(&key, Consistency::Strong)
            .await
            .unwrap()
            .unwrap();
        let mut lead = stored.item;
        lead.standing = Standing::Unsubscribed;
        assert_eq!(
            table
                .commit(&key, &lead, Some(stored.version))
                .await
                .unwrap(),
            Commit::Committed
        );
    });
    rig.save("7", "other@harbour.example").await;
    let lead = rig.lead("7").await;
    assert_eq!(
        lead.standing,
        Standing::Unsubscribed,
        "a change of address does not undo it"
    );
    assert_eq!(lead.address.as_str(), "other@harbour.example");
    let verified = rig.record("other@harbour.example").await.unwrap();
    assert_eq!(
        verified.evidence.pieces().count(),
        1,
        "verified once, whatever the races"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a row for each fault")]
async fn what_is_wrong_with_a_request_is_named() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    let put = |body: Value| ("PUT", "/v1/leads/7", Some(body));
    let statuses = |body: Value| ("POST", "/v1/statuses", Some(body));
    let rows = [
        (put(json!({})), 422, "invalid-field", "/address"),
        (
            put(json!({ "address": 7 })),
            422,
            "invalid-field",
            "/address",
        ),
        (
            put(json!({ "address": "a@b.example", "adress": 1 })),
            422,
            "invalid-field",
            "/adress",
        ),
        (
            put(json!({ "address": "a@b.example", "standing": "happy" })),
            422,
            "invalid-field",
            "/standing",
        ),
        (
            put(json!({ "address": "ada" })),
            422,
            "invalid-address",
            "/address",
        ),
        (put(json!([])), 422, "invalid-field", ""),
        (
            statuses(json!({ "leads": ["1", "2", "3", "a b"] })),
            422,
            "invalid-field",
            "/leads/3",
        ),
        (
            statuses(json!({ "leads": [] })),
            422,
            "invalid-field",
            "/leads",
        ),
        (
            statuses(json!({ "leads": vec!["1"; 101] })),
            422,
            "invalid-field",
            "/leads",
        ),
        (("GET", "/v1/leads/a%20b", None), 422, "invalid-field", "id"),
        (("GET", "/v1/leads/8", None), 404, "unknown-lead", ""),
        (("GET", "/v1/leads/8/log", None), 404, "unknown-lead", ""),
        (
            ("POST", "/v1/leads/8/rechecks", None),
            404,
            "unknown-lead",
            "",
        ),
        (
            ("GET", "/v1/leads/7/log?limit=0", None),
            400,
            "invalid-parameter",
            "limit",
        ),
        (
            ("GET", "/v1/leads/7/log?limit=101", None),
            400,
            "invalid-parameter",
            "limit",
        ),
        (
            ("GET", "/v1/leads/7/log?cursor=x", None),
            400,
            "invalid-parameter",
            "cursor",
        ),
        (("GET", "/v1/nothing", None), 404, "not-found", ""),
        (
            ("DELETE", "/v1/leads/7", None),
            405,
            "method-not-allowed",
            "",
        ),
        (("GET", "/v1/statuses", None), 405, "method-not-allowed", ""),
        (
            ("GET", "/v1/leads/7/rechecks", None),
            405,
            "method-not-allowed",
            "",
        ),
    ];
    for ((method, path, body), expected, kind, field) in rows {
        let (status, problem) = rig.ask(method, path, body.clone()).await;
        let row = format!("{method} {path} {body:?}: {problem}");
        assert_eq!(status, expected, "{row}");
        assert_eq!(
            problem["type"],
            format!("https://leadlight.dev/problems/{kind}"),
            "{row}"
        );
        assert_eq!(
            problem["field"].as_str().unwrap_or_default(),
            field,
            "{row}"
        );
        assert_eq!(problem["status"], expected, "{row}");
    }
    let (_, problem) = rig
        .ask(
            "PUT",
            "/v1/leads/7",
            Some(json!({ "address": "Ada <ada@b.example>" })),
        )
        .await;
    assert_eq!(
        (&problem["code"], &problem["suggestion"]),
        (&json!("display_name"), &json!("ada@b.example"))
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_by_kind() {
    use lambda_http::Body;
    let rig = Rig::start().await;
    let rows: [(&str, Body, u16); 6] = [
        ("application/json", Body::Text("{".to_owned()), 400),
        (
            "application/json",
            Body::Binary(vec![0x22, 0xff, 0x22]),
            400,
        ),
        ("application/json", Body::Empty, 400),
        (
            "application/json",
            Body::Text(" ".repeat(64 * 1024 + 1)),
            413,
        ),
        ("text/plain", Body::Text("{}".to_owned()), 415),
        (
            "Application/JSON; charset=utf-8",
            Body::Text("{}".to_owned()),
            422,
        ),
    ];
    for (content_type, body, expected) in rows {
        let mut request = rig.request("PUT", "/v1/leads/7", None);
        request
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        *request.body_mut() = body;
        let response = crate::leads::handle_at(&rig.app.checks, request, rig.now).await;
        assert_eq!(response.status().as_u16(), expected, "{content_type}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn an_outage_of_the_table_is_said_to_be_one() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    rig.table.refuse("GetItem");
    let request = rig.request("GET", "/v1/leads/7", None);
    let response = crate::leads::handle_at(&rig.app.checks, request, rig.now).await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn dns_is_read_as_the_standards_say() {
    let rig = Rig::start().await;
    let public = Ipv4Addr::new(198, 51, 100, 1);
    rig.dns
        .says("inside.example", Says::Address(Ipv4Addr::LOCALHOST));
    rig.dns.says("bare.example", Says::Address(public));
    rig.dns
        .says("hostless.example", Says::Nothing { soa: true });
    let undeliverable = |cause| Verdict::Undeliverable { cause };
    let inconclusive = |cause| Verdict::Inconclusive { cause };
    let rows = [
        (Says::Mx(vec![(10, "mx.example.")]), Verdict::Deliverable),
        (
            Says::Mx(vec![(0, "."), (10, "mx.example.")]),
            Verdict::Deliverable,
        ),
        (
            Says::Mx(vec![(5, "hostless.example."), (10, "mx.example.")]),
            Verdict::Deliverable,
        ),
        (
            Says::Mx(vec![(0, ".")]),
            undeliverable(UndeliverableCause::NullMx),
        ),
        (
            Says::Mx(vec![(10, "inside.example.")]),
            undeliverable(UndeliverableCause::UnreachableMailServer),
        ),
        (
            Says::Mx(vec![(10, "nowhere.example.")]),
            undeliverable(UndeliverableCause::UnreachableMailServer),
        ),
        (
            Says::Nothing { soa: true },
            undeliverable(UndeliverableCause::NoMailServer),
        ),
        (
            Says::Nothing { soa: false },
            inconclusive(InconclusiveCause::DnsUnclear),
        ),
        (
            Says::Address(Ipv4Addr::new(10, 0, 0, 1)),
            undeliverable(UndeliverableCause::UnreachableMailServer),
        ),
        (
            Says::Code(ResponseCode::ServFail),
            inconclusive(InconclusiveCause::DnsFailure),
        ),
        (
            Says::Code(ResponseCode::Refused),
            inconclusive(InconclusiveCause::DnsFailure),
        ),
        (Says::Silence, inconclusive(InconclusiveCause::DnsTimeout)),
    ];
    let verdict = async |text: &str, freshness| {
        let address = Address::parse(text).unwrap();
        rig.app
            .verifier
            .services
            .verify(&address, freshness)
            .await
            .verdict
    };
    for (says, expected) in rows {
        rig.dns.says("asked.example", says.clone());
        let found = verdict("ada@asked.example", Freshness::Asked).await;
        assert_eq!(found, expected, "{says:?}");
    }
    let implicit = verdict("ada@bare.example", Freshness::Remembered).await;
    assert!(matches!(implicit, Verdict::Risky { .. }), "{implicit:?}");
    let missing = "ada@missing.example";
    let gone = verdict(missing, Freshness::Remembered).await;
    assert_eq!(gone, undeliverable(UndeliverableCause::NoSuchDomain));
    rig.dns.mx("missing.example");
    assert_eq!(
        verdict(missing, Freshness::Remembered).await,
        gone,
        "remembered for a while"
    );
    assert_eq!(
        verdict(missing, Freshness::Asked).await,
        Verdict::Deliverable,
        "asked again"
    );
}

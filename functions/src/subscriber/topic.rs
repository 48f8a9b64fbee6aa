//! The topics whose messages are taken: those whose ARNs the operator listed, and no others.
//!
//! The list is what keeps strangers out. Anybody can make a topic of their own publish to any HTTPS endpoint, with a signature by
//! SNS that is as good as every other (SNS developer guide, *verify message signatures*).

/// A topic of SNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    arn: String,
    region: String,
    /// What the names of hosts end in, in the partition of the topic.
    domain: &'static str,
}

/// The topics whose messages are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(Vec<Topic>);

/// A text lists no topics. It is the operator's own, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {0:?} as the ARN of a topic")]
pub struct TopicsError(String);

impl Topics {
    /// Reads ARNs, separated by commas. An empty list takes nothing from anybody.
    ///
    /// # Errors
    /// When one of them is no ARN of a topic, or of one in a partition whose hosts are not known.
    pub fn read(list: &str) -> Result<Self, TopicsError> {
        let arns = list.split(',').map(str::trim).filter(|arn| !arn.is_empty());
        arns.map(|arn| Topic::read(arn).ok_or_else(|| TopicsError(arn.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The topic with this very ARN.
    pub(super) fn find(&self, arn: &str) -> Option<&Topic> {
        self.0.iter().find(|topic| topic.arn == arn)
    }
}

impl Topic {
    fn read(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':');
        let mut next = || parts.next();
        let (Some("arn"), partition, Some("sns"), region, account, name, None) =
            (next(), next()?, next(), next()?, next()?, next()?, next())
        else {
            return None;
        };
        let domain = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _unknown => return None,
        };
        let is_word = |text: &str, others: &[u8]| {
            let is_one = |it: u8| it.is_ascii_alphanumeric() || others.contains(&it);
            !text.is_empty() && text.bytes().all(is_one)
        };
        let is_account = account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit());
        (is_word(region, b"-") && is_account && is_word(name, b"-_")).then(|| Self {
            arn: arn.to_owned(),
            region: region.to_owned(),
            domain,
        })
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The one host of SNS in the region of the topic.
    pub(super) fn host(&self) -> String {
        format!("sns.{}.{}", self.region, self.domain)
    }

    /// The names that SNS's certificates for signatures are for, by region (AWS SDK for Java 2, `SnsHostProvider`; certificates as
    /// found in `us-west-2` and `af-south-1` in 2026).
    pub(super) fn signing_names(&self) -> [String; 4] {
        let Self { region, domain, .. } = self;
        let region_of_signing = match region.as_str() {
            "us-gov-east-1" => "us-gov-west-1",
            itself => itself,
        };
        [
            format!("sns.{domain}"),
            format!("sns-signing.{region}.{domain}"),
            format!("sns-{region_of_signing}.{domain}"),
            self.host(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_arns_is_read() {
        let topics = Topics::read(
            " arn:aws:sns:eu-central-1:123456789012:ses-feedback ,\n\
             arn:aws-cn:sns:cn-north-1:123456789012:t,arn:aws-us-gov:sns:us-gov-east-1:123456789012:t,",
        )
        .unwrap();
        let names = |arn: &str| {
            let topic = topics.find(arn).unwrap();
            (topic.host(), topic.signing_names()[2].clone())
        };
        let german = names("arn:aws:sns:eu-central-1:123456789012:ses-feedback");
        assert_eq!(german.0, "sns.eu-central-1.amazonaws.com");
        let chinese = names("arn:aws-cn:sns:cn-north-1:123456789012:t");
        assert_eq!(
            chinese,
            (
                "sns.cn-north-1.amazonaws.com.cn".to_owned(),
                "sns-cn-north-1.amazonaws.com.cn".to_owned()
            )
        );
        let of_government = names("arn:aws-us-gov:sns:us-gov-east-1:123456789012:t");
        assert_eq!(of_government.1, "sns-us-gov-west-1.amazonaws.com");
        assert_eq!(Topics::read(""), Ok(Topics::default()));
    }

    #[test]
    fn what_is_no_topic_is_told_at_start() {
        for wrong in [
            "ses-feedback",
            "arn:aws:sqs:eu-central-1:123456789012:t",
            "arn:aws:sns:eu-central-1:123456789012",
            "arn:aws:sns:eu-central-1:123456789012:t:b24e11a2",
            "arn:aws:sns:eu-central-1:12345:t",
            "arn:aws:sns::123456789012:t",
            "arn:aws:sns:*:123456789012:t",
            "arn:aws:sns:eu-central-1:123456789012:*",
            "arn:aws:sns:evil.example/?:123456789012:t",
            "arn:aws:sns:eu-central-1:123456789012:t.fifo",
            "arn:aws-iso:sns:us-iso-east-1:123456789012:t",
            "ARN:aws:sns:eu-central-1:123456789012:t",
        ] {
            assert_eq!(Topics::read(wrong), Err(TopicsError(wrong.to_owned())));
        }
    }
}

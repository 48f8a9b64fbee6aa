"""Translates SAM templates and holds the results against the published rules: cfn-lint, and parliament on every role.

    python template_checks.py [--without-cfn-lint] TEMPLATE...

Prints a JSON array with an entry for each template: `resources`, those of the translated template with every intrinsic function carried out
(all conditions true, references as ARNs or names of an example account), and `findings`, what the tools object to. SAM's source is
not what is linted: the tools miss faults in what SAM generates. Reads nothing but the templates and calls no AWS.
"""

import json
import multiprocessing
import os
import re
import sys
import warnings

os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
warnings.simplefilter("ignore")

import cfnlint.api  # noqa: E402
import cfnlint.data.AdditionalSpecs  # noqa: E402
import cfnlint.helpers  # noqa: E402
import parliament  # noqa: E402
from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

WITHOUT_CFN_LINT = "--without-cfn-lint"
REGION, ACCOUNT = os.environ["AWS_DEFAULT_REGION"], "123456789012"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "leadlight",
    "AWS::URLSuffix": "amazonaws.com",
}
# Values of an example deployment with everything switched on. Parameters that are not named keep their defaults.
EXAMPLE = {
    "AllowedOrigins": ["https://crm.example.com"],
    "HttpsTopics": [f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback"],
    "HttpsTopicToSubscribe": f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback",
    "SendingIdentities": [f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/news.example.com"],
}
ARNS = {
    "AWS::DynamoDB::Table": ("dynamodb", "table/{}"),
    "AWS::Events::EventBus": ("events", "event-bus/{}"),
    "AWS::Events::Rule": ("events", "rule/{}"),
    "AWS::IAM::Role": ("iam", "role/{}"),
    "AWS::Lambda::Function": ("lambda", "function:{}"),
    "AWS::Logs::LogGroup": ("logs", "log-group:{}:*"),
    "AWS::S3::Bucket": ("s3", "{}"),
    "AWS::SNS::Topic": ("sns", "{}"),
    "AWS::SQS::Queue": ("sqs", "{}"),
    "AWS::SecretsManager::Secret": ("secretsmanager", "secret:{}"),
}
# Services whose ARNs name no region, or no account either.
GLOBAL, OWNERLESS = {"iam", "s3"}, {"s3"}
# Actions for which there is no resource to name.
UNNAMEABLE = {"ses:DeleteSuppressedDestination", "ses:GetEmailAddressInsights", "ses:GetSuppressedDestination"}
# AWS's reference knows no resource for it; the DynamoDB developer guide and SAM's own connectors name the table's streams.
NARROWED = {"dynamodb:ListStreams"}
# What `Ref` gives is the ARN; of other resources it is the name.
REFERENCED_BY_ARN = {"AWS::SNS::Topic", "AWS::SecretsManager::Secret"}


class NoManagedPolicies:
    """The template attaches none."""

    def load(self):
        return {}


class Resolver:
    """Carries out intrinsic functions as CloudFormation would, for the example deployment."""

    def __init__(self, template):
        self.resources = template["Resources"]
        parameters = template.get("Parameters", {})
        self.parameters = {name: EXAMPLE.get(name, p.get("Default")) for name, p in parameters.items()}

    def resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function == "Ref":
                return self.reference(argument)
            if function.startswith("Fn::"):
                return self.call(function[4:], argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not None}

    def call(self, function, argument):
        if function == "If":
            return self.resolve(argument[1])
        argument = self.resolve(argument)
        if function == "GetAtt":
            name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
            return self.attribute(name, attribute)
        if function == "Join":
            return argument[0].join(argument[1])
        if function == "Split":
            return argument[1].split(argument[0])
        if function == "Sub":
            text, names = argument if isinstance(argument, list) else (argument, {})
            return re.sub(r"\$\{([^!][^}]*)\}", lambda m: str(names.get(m[1]) or self.named(m[1])), text)
        raise ValueError(f"the function {function} is not known here")

    def named(self, name):
        return self.attribute(*name.split(".", 1)) if "." in name else self.reference(name)

    def reference(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self.resources[name]["Type"]
        return self.arn(name, kind) if kind in REFERENCED_BY_ARN else name

    def attribute(self, name, attribute):
        kind = self.resources[name]["Type"]
        if attribute == "StreamArn":
            # In AWS it ends in a time, whose colons parliament takes for the ARN's own.
            return f"{self.arn(name, kind)}/stream/label"
        return self.arn(name, kind) if attribute == "Arn" else f"{name}.{attribute}"

    @staticmethod
    def arn(name, kind):
        service, form = ARNS[kind]
        region, account = ("" if service in GLOBAL else REGION), ("" if service in OWNERLESS else ACCOUNT)
        return f"arn:aws:{service}:{region}:{account}:{form.format(name.lower() if service == 's3' else name)}"


def translate(text):
    source = yaml_parse(text)
    # The code is built elsewhere; the translator wants to see it uploaded.
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/key.zip"
    return transform(source, {}, NoManagedPolicies())


def lint(template):
    matches = cfnlint.api.lint(json.dumps(template), regions=[REGION])
    return [f"cfn-lint {match.rule.id}: {match.message} ({'/'.join(map(str, match.path or []))})" for match in matches]


def judge_role(name, role):
    for policy in role["Properties"].get("Policies", []):
        judged = parliament.analyze_policy_string(json.dumps(policy["PolicyDocument"]))
        for finding in judged.findings:
            if finding.issue == "UNKNOWN_ACTION" and is_newer(finding.detail.split()[-1]):
                continue
            if finding.issue == "RESOURCE_MISMATCH" and all(mismatch["action"] in NARROWED for mismatch in finding.detail):
                continue
            yield f"parliament {finding.issue}: {name}: {finding.detail}"
        for statement in policy["PolicyDocument"]["Statement"]:
            yield from judge_statement(name, statement)


def listed(value):
    return value if isinstance(value, list) else [value]


def judge_statement(name, statement):
    """Wildcards: none in an action, and for a resource only where there is none to name."""
    for action in listed(statement["Action"]):
        if "*" in action:
            yield f"wildcard: {name} may {action}"
        elif "*" in listed(statement["Resource"]) and action not in UNNAMEABLE:
            yield f"wildcard: {name} may {action} on every resource"


def is_newer(action):
    """Whether cfn-lint's list, which is renewed more often than parliament's, has the action, and no resource for it."""
    prefix, privilege = action.split(":")
    service = cfnlint.helpers.load_resource(cfnlint.data.AdditionalSpecs, "Policies.json").get(prefix, {})
    return service.get("Actions", {}).get(privilege.lower()) == {}


def check(text, with_cfn_lint):
    try:
        template = translate(text)
    except InvalidDocumentException as error:
        return {"resources": {}, "findings": [f"sam: {cause.message}" for cause in error.causes]}
    findings = lint(template) if with_cfn_lint else []
    resources = Resolver(template).resolve(template["Resources"])
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            findings += judge_role(name, resource)
    return {"resources": resources, "findings": findings}


def check_file(path, with_cfn_lint):
    with open(path) as file:
        return check(file.read(), with_cfn_lint)


if __name__ == "__main__":
    with multiprocessing.Pool() as pool:
        paths = [argument for argument in sys.argv[1:] if argument != WITHOUT_CFN_LINT]
        calls = [(path, WITHOUT_CFN_LINT not in sys.argv) for path in paths]
        json.dump(pool.starmap(check_file, calls, chunksize=1), sys.stdout)

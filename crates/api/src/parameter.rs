//! What may stand behind the question mark of each operation, for OpenAPI. Filters of lists are the kind's indexes and are added there.

use crate::operation::Op;

/// A query parameter: its name, and what it does.
pub type Parameter = (&'static str, &'static str);

const SLIM: &[Parameter] = &[("slim", "Leave out `Params`, `Meta` or both (comma list).")];
const ONLY: &[Parameter] = &[("params", "Show only these parameters (comma list).")];
const DECODE: &[Parameter] = &[("decode", "`true` opens secure parameters; needs the right `getSecure`.")];
const PAGED: &[Parameter] = &[
    ("sort", "Sort by this index."),
    ("reverse", "Its presence turns the order round."),
    ("limit", "Show at most so many."),
    ("offset", "Leave out so many first."),
];
const FORCED: &[Parameter] = &[("force", "`true` skips the soft checks.")];
const INHERITED: &[Parameter] = &[("aggregate", "`true` looks also where values are inherited from.")];
const COMPOSED: &[Parameter] = &[("compose", "`true` merges maps and lists of all levels.")];
const ORIGIN: &[Parameter] =
    &[("origin", "`true` shows each value of a machine with where it was set, and what it hides.")];
const REPLACE: &[Parameter] =
    &[("replaceWritable", "`true` takes over objects of the store that the pack has too.")];
const CHECK: &[Parameter] = &[
    ("check", "`true` stores nothing and answers which rendered files of which machines would change."),
    ("machines", "With `check`: only these machines (comma list of names)."),
    ("tasks", "With `check`: `true` renders the scripts of task lists too."),
];
const TTL: &[Parameter] = &[("ttl", "How long the token lasts: seconds, or a duration such as `10m`.")];
const CLAIM: &[Parameter] = &[
    ("roles", "Only these roles of the user (comma list); those that the user does not have give nothing."),
    (
        "scope",
        "With `action` and `specific`: only this one right, and nothing when the user does not have all of it.",
    ),
    ("action", "See `scope`."),
    ("specific", "See `scope`."),
];
const TRACE: &[Parameter] = &[
    ("boot", "`all`, or how many boots to go back."),
    ("since", "Only entries after this sequence number."),
    ("wait", "Wait so long for something newer (duration)."),
];

const PURGE: &[Parameter] = &[
    ("dryrun", "`true` only tells which jobs would go."),
    (
        "machine",
        "Only jobs of the machine with this UUID; `missing`: those of machines that are gone, all of them.",
    ),
    ("jobsToKeep", "How many jobs of each machine stay; 0 for any number."),
    ("failedJobsPurgedAfter", "How long failed jobs stay (duration); 0 for ever."),
    ("completeJobsPurgedAfter", "How long finished jobs stay (duration); 0 for ever."),
];

impl Op {
    /// The query parameters of the operation, in groups.
    pub fn parameters(self) -> &'static [&'static [Parameter]] {
        match self {
            Self::List => &[PAGED, SLIM, ONLY, DECODE],
            Self::Read => &[SLIM, ONLY, DECODE],
            Self::Create | Self::Replace | Self::Patch => &[FORCED, SLIM, ONLY, DECODE],
            Self::Delete => &[FORCED],
            Self::ParamsRead => &[INHERITED, ORIGIN, ONLY, DECODE],
            Self::ContentCreate => &[REPLACE, CHECK],
            Self::ContentReplace => &[REPLACE],
            Self::ParamRead => &[INHERITED, COMPOSED, DECODE],
            Self::ParamsReplace | Self::ParamsPatch | Self::ParamWrite | Self::ParamDelete => &[FORCED],
            Self::UserToken => &[TTL, CLAIM],
            Self::MachineToken => &[TTL],
            Self::MachineTrace => &[TRACE],
            Self::JobPurge => &[PURGE],
            Self::PoolAdd => {
                &[FORCED, &[("source-pool", "The pool that they come from; the parent without it.")]]
            }
            Self::PoolRemove | Self::PoolAllocate | Self::PoolRelease | Self::MachineRelease => &[FORCED],
            Self::JobActions => &[&[("os", "Only those for this operating system.")]],
            Self::BlobList => &[&[("path", "The directory."), ("all", "`true` lists everything below it.")]],
            Self::EventStream => &[&[("from", "Deliver what happened after this revision first.")]],
            _ => &[],
        }
    }
}

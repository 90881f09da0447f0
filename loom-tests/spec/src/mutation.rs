//! Ways to break the protocol on purpose. Each must violate a property, or the model would say nothing.

/// What one run of the model does wrong. The variants are named for the rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing: the protocol as it is.
    None,
    /// A batch is published from its first cell on.
    PublishFirstToLast,
    /// A reservation is announced after it was made.
    AnnounceAfterReserving,
    /// A reservation's announcement does not say whose the one before it is.
    IntentWithoutEvidence,
    /// A message is claimed by a word of any lap.
    ClaimUnpublished,
    /// A claim is announced after it was made.
    AnnounceAfterClaiming,
    /// A claim is put back and nobody told.
    ReleaseWithoutRedo,
    /// `redo` is raised before the words are there.
    RedoBeforeWords,
    /// A claim is released from its first word on.
    ReleaseFirstToLast,
    /// `ack_first` shortens the interval before it writes what is left.
    AckFirstWordFirst,
    /// The count of deliveries does not rise.
    CountStands,
    /// Room is made over what is claimed.
    FrontierOverClaims,
    /// Recovery takes who is slow for dead.
    SuspectTheLiving,
    /// A reservation is voided by its announcement alone.
    VoidByAnnouncement,
    /// The owner of a boundary is not looked for in the tail.
    EvidenceIgnoresTail,
    /// Nor in the announcements.
    EvidenceIgnoresIntents,
    /// Nor in the cells.
    EvidenceIgnoresCells,
    /// Recovery voids what is published.
    VoidOfThePublished,
    /// A reservation is voided from its first cell on.
    VoidFirstToLast,
    /// A void cell does not look at `reap`.
    VoidWithoutReap,
    /// READY cells of a batch that was not published to its first are left.
    VoidLeavesTheReady,
    /// Recovery does not read the attachment again before it voids.
    VoidWithoutAttachment,
    /// Nor before it puts a claim back.
    PutBackWithoutAttachment,
    /// Recovery puts back what the announcement says, whoever holds it.
    PutBackWithoutHolder,
    /// An interval's first word is put back before those behind it.
    PutBackFirstToLast,
    /// Recovery raises `redo` only if it put something back.
    RedoIfFound,
    /// The slot is freed before what it owes is settled.
    FreeFirst,
    /// The slot is freed by a plain store.
    FreeInexactly,
    /// Not a mutant of the protocol but of the claim about it: a pause may fall inside a reservation or a claim.
    PauseInside,
}

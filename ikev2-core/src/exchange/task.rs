//! Tasks: what an established IKE SA is to do, one exchange or several each (a task is not an exchange).

use alloc::boxed::Box;
use alloc::sync::Arc;

use ipsec_sa::{Flow, SecurityProtocol};
use ipsec_wire::Spi;

use super::child::Ending;
use super::create_child::{AfterInstall, ChildAnswer, ChildRequest, ChildResponse};
use super::rekey_ike::{IkeAnswer, IkeRequest, IkeResponse};
use crate::config::ChildConfig;

/// Something to be done, waiting for its turn.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Make a Child SA.
    CreateChild { config: Arc<ChildConfig>, flow: Option<Flow>, retries: u8 },
    /// Replace a Child SA.
    RekeyChild { inbound: Spi, retries: u8 },
    /// Replace the IKE SA.
    RekeyIke { retries: u8 },
    /// Delete a Child SA.
    DeleteChild { inbound: Spi, ending: Ending },
    /// Tell the peer of a Child SA that we do not have any more.
    TellDeleted { protocol: SecurityProtocol, inbound: Spi },
    /// Tell the peer that packets of its carry an SPI that we do not have (RFC 7296 §1.5).
    TellInvalidSpi(Spi),
    /// Delete the IKE SA.
    DeleteIke,
    /// See whether the peer is there (RFC 7296 §2.4).
    Liveness,
}

impl Task {
    /// Whether nothing else may be under way (RFC 7296 §2.25.2).
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::RekeyIke { .. } | Self::DeleteIke)
    }

    /// Whether it concerns children, and so moves on to the IKE SA that inherits them.
    pub(crate) fn is_about_children(&self) -> bool {
        matches!(
            self,
            Self::CreateChild { .. }
                | Self::RekeyChild { .. }
                | Self::DeleteChild { .. }
                | Self::TellDeleted { .. }
        )
    }
}

/// What the answer to a request is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Child(Box<ChildRequest>),
    RekeyIke(Box<IkeRequest>),
    DeleteChild(Spi),
    TellDeleted,
    TellInvalidSpi,
    DeleteIke,
    Liveness,
}

/// What goes on when a job is done.
#[derive(Clone, Debug)]
pub(crate) enum Continuation {
    ChildStart(Box<ChildRequest>),
    ChildComplete(Box<ChildRequest>, Box<ChildAnswer>),
    ChildRespond(Box<ChildResponse>),
    IkeStart(Box<IkeRequest>),
    IkeComplete(Box<IkeRequest>, Box<IkeAnswer>),
    IkeRespond(Box<IkeResponse>),
    Installed { inbound: Spi, after: AfterInstall },
}

impl Continuation {
    /// Whether an exchange of ours is being prepared or concluded. It holds its place in the window: our next request
    /// tells the peer that we know the SA that it has answered with.
    pub(crate) fn holds_window(&self) -> bool {
        self.is_our_child_exchange() || self.is_our_ike_rekey()
    }

    /// Whether it is part of an exchange about children that we began.
    pub(crate) fn is_our_child_exchange(&self) -> bool {
        matches!(self, Self::ChildStart(_) | Self::ChildComplete(..))
    }

    /// Whether this Child SA is deleted once the one in its place is installed.
    pub(crate) fn deletes(&self, inbound: Option<Spi>) -> bool {
        matches!(self, Self::Installed { after: AfterInstall::Delete(spi, _), .. } if Some(*spi) == inbound)
    }

    /// Whether it is part of our rekey of the IKE SA.
    pub(crate) fn is_our_ike_rekey(&self) -> bool {
        matches!(self, Self::IkeStart(_) | Self::IkeComplete(..))
    }
}

//! Total newtypes for the numbers of a registry: every value survives, the known ones have names.

/// Declares a newtype over an unsigned integer with the registry's names as constants.
///
/// The type is total: an unknown number parses, prints as its number and is rebuilt unchanged.
#[macro_export]
macro_rules! newtype_enum {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident($int:ty) {
            $( $(#[$vmeta:meta])* $konst:ident = $value:expr => $text:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        $vis struct $name(pub $int);

        impl $name {
            $( $(#[$vmeta])* #[doc = concat!("`", $text, "` (", stringify!($value), ")")] pub const $konst: Self = Self($value); )*

            /// Every code point that has a name here, in the order of declaration.
            pub const KNOWN: &'static [(Self, &'static str)] = &[ $( (Self($value), $text), )* ];

            /// The registry's name, where the number has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                #[allow(unreachable_patterns)] // registries may alias a renamed code point
                match self.0 {
                    $( $value => Some($text), )*
                    _ => None,
                }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn value(self) -> $int {
                self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name}({})", self.0),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> $int {
                value.0
            }
        }
    };
}

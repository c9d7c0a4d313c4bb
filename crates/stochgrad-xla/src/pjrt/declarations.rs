//! The types of the C API of PJRT that this crate uses, as in `pjrt_c_api.h` of XLA.
//!
//! Each function takes a pointer to a struct of arguments, which begins with its size. A plugin refuses sizes smaller
//! than it needs, and ignores fields beyond those that it knows, so that clients and plugins of different versions work
//! together. The functions are in a table, at whose end new ones are added.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// The version of the declarations, which is the oldest one that a plugin may have.
pub(super) const VERSION: (c_int, c_int) = (0, 81);

/// The beginning of the table of functions, which the pointers to them follow.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) size: usize,
    pub(super) extension: *const c_void,
    pub(super) version_size: usize,
    pub(super) version_extension: *const c_void,
    pub(super) major: c_int,
    pub(super) minor: c_int,
}

/// The arguments of a function of the table.
pub(super) trait Arguments {
    /// The position of the function in the table.
    const POSITION: usize;
    /// What the function does, in words that follow "while".
    const DOING: &'static str;
}

/// A value for fields that are not set: zero, or a pointer to nothing.
trait Unset {
    const UNSET: Self;
}

impl Unset for c_int {
    const UNSET: Self = 0;
}

impl Unset for i64 {
    const UNSET: Self = 0;
}

impl Unset for usize {
    const UNSET: Self = 0;
}

impl<T> Unset for *const T {
    const UNSET: Self = null();
}

impl<T> Unset for *mut T {
    const UNSET: Self = null_mut();
}

/// Types of which only pointers exist.
macro_rules! opaque {
    ($($name:ident),*) => { $(
        #[repr(C)]
        pub(super) struct $name {
            _private: [u8; 0],
        }
    )* };
}

/// Structs that begin with their size and a list of extensions. `unset` sets the size, and all other fields to zero.
macro_rules! sized {
    ($($(#[$meta:meta])* $name:ident { $($field:ident : $kind:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[repr(C)]
        pub(super) struct $name {
            pub(super) size: usize,
            pub(super) extension: *const c_void,
            $(pub(super) $field: $kind,)*
        }

        impl $name {
            pub(super) const fn unset() -> Self {
                $name { size: size_of::<$name>(), extension: null(), $($field: <$kind as Unset>::UNSET,)* }
            }
        }
    )* };
}

/// Structs of arguments, each with the position of its function in the table and what the function does.
macro_rules! arguments {
    ($($position:literal $name:ident $doing:literal { $($field:ident : $kind:ty),* $(,)? })*) => {
        sized! { $($name { $($field: $kind),* })* }

        $(impl Arguments for $name {
            const POSITION: usize = $position;
            const DOING: &'static str = $doing;
        })*
    };
}

opaque!(Error, Event, Client, Device, DeviceDescription, Memory, Executable, LoadedExecutable, Buffer);

arguments! {
    0 ErrorDestroy "freeing an error" { error: *mut Error }
    1 ErrorMessage "reading an error" { error: *const Error, text: *const c_char, length: usize }
    2 ErrorCode "reading an error" { error: *const Error, code: c_int }
    3 PluginInitialize "initialising the plugin" {}
    5 EventDestroy "freeing an event" { event: *mut Event }
    8 EventAwait "waiting for the device" { event: *mut Event }
    10 ClientCreate "creating a client" {
        options: *const NamedValue,
        options_length: usize,
        get_callback: *const c_void,
        get_user: *const c_void,
        put_callback: *const c_void,
        put_user: *const c_void,
        client: *mut Client,
        try_get_callback: *const c_void,
        try_get_user: *const c_void,
    }
    11 ClientDestroy "freeing a client" { client: *mut Client }
    12 ClientPlatform "asking for the platform" { client: *mut Client, name: *const c_char, length: usize }
    16 ClientDevices "listing the devices" { client: *mut Client, devices: *const *mut Device, length: usize }
    20 ClientCompile "compiling a program" {
        client: *mut Client,
        program: *const Program,
        options: *const u8,
        options_length: usize,
        executable: *mut LoadedExecutable,
    }
    22 BufferUpload "copying a tensor to the device" {
        client: *mut Client,
        data: *const c_void,
        kind: c_int,
        dims: *const i64,
        rank: usize,
        strides: *const i64,
        strides_length: usize,
        semantics: c_int,
        device: *mut Device,
        memory: *mut Memory,
        layout: *const Layout,
        done: *mut Event,
        buffer: *mut Buffer,
    }
    23 DeviceId "asking for the number of a device" { description: *mut DeviceDescription, id: c_int }
    26 DeviceKind "asking for the kind of a device" {
        description: *mut DeviceDescription,
        name: *const c_char,
        length: usize,
    }
    29 DeviceDescribe "describing a device" { device: *mut Device, description: *mut DeviceDescription }
    40 ExecutableDestroy "freeing a program" { executable: *mut Executable }
    44 ExecutableOutputs "counting the results of a program" { executable: *mut Executable, outputs: usize }
    50 LoadedDestroy "freeing a program" { executable: *mut LoadedExecutable }
    51 LoadedExecutableOf "examining a program" { loaded: *mut LoadedExecutable, executable: *mut Executable }
    55 Execute "running a program" {
        executable: *mut LoadedExecutable,
        options: *mut ExecuteOptions,
        arguments: *const *const *mut Buffer,
        devices: usize,
        arguments_length: usize,
        outputs: *const *mut *mut Buffer,
        events: *mut *mut Event,
        device: *mut Device,
    }
    58 BufferDestroy "freeing a buffer" { buffer: *mut Buffer }
    59 BufferKind "asking for the element type of a buffer" { buffer: *mut Buffer, kind: c_int }
    60 BufferDims "asking for the shape of a buffer" { buffer: *mut Buffer, dims: *const i64, rank: usize }
    70 BufferDownload "copying a tensor from the device" {
        buffer: *mut Buffer,
        layout: *const Layout,
        destination: *mut c_void,
        length: usize,
        event: *mut Event,
    }
    72 BufferReady "waiting for a buffer" { buffer: *mut Buffer, event: *mut Event }
}

sized! {
    /// An option of a client. The value is that of an `i64`; the other kinds are not used.
    NamedValue {
        name: *const c_char,
        name_length: usize,
        kind: c_int,
        value: i64,
        value_length: usize,
    }

    /// A program as text.
    Program {
        code: *const c_char,
        code_length: usize,
        format: *const c_char,
        format_length: usize,
    }

    /// How a program is run.
    ExecuteOptions {
        send_callbacks: *const c_void,
        receive_callbacks: *const c_void,
        sends: usize,
        receives: usize,
        launch: c_int,
        not_donated: *const i64,
        not_donated_length: usize,
        context: *const c_void,
        call_location: *const c_char,
        tasks: usize,
        task_ids: *const c_int,
        incarnations: *const i64,
    }

    /// The order of the axes in memory. It has the size of the union of this kind with the smaller one by strides.
    Tiled {
        minor_to_major: *const i64,
        rank: usize,
        tile_dims: *const i64,
        tile_sizes: *const usize,
        tiles: usize,
    }
}

/// A layout of kind 0, which is [`Tiled`].
#[repr(C)]
pub(super) struct Layout {
    pub(super) size: usize,
    pub(super) extension: *const c_void,
    pub(super) tiled: Tiled,
    pub(super) kind: c_int,
}

/// The kind of [`NamedValue`] that is an `i64`.
pub(super) const NAMED_I64: c_int = 1;

/// Host memory may be changed as soon as the call that copies it returns.
pub(super) const COPIED_DURING_CALL: c_int = 0;

/// The code of errors for memory that is exhausted.
pub(super) const RESOURCE_EXHAUSTED: c_int = 8;

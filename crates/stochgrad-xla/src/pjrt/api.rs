//! Calls of the functions of a plugin. No other file of this crate contains unsafe code.
//!
//! Each handle frees what it stands for when it is dropped, and keeps alive what it depends on: a buffer and a program
//! keep their client. Plugins may be called from all threads at the same time.
#![allow(unsafe_code)]

use super::declarations::{
    Arguments, Buffer, BufferDestroy, BufferDims, BufferDownload, BufferKind, BufferReady, BufferUpload,
    COPIED_DURING_CALL, Client, ClientCompile, ClientCreate, ClientDestroy, ClientDevices, ClientPlatform, Device,
    DeviceDescribe, DeviceId, DeviceKind, Error, ErrorCode, ErrorDestroy, ErrorMessage, Event, EventAwait,
    EventDestroy, ExecutableDestroy, ExecutableOutputs, Execute, ExecuteOptions, Layout, LoadedDestroy,
    LoadedExecutable, LoadedExecutableOf, NAMED_I64, NamedValue, PluginInitialize, Program, RESOURCE_EXHAUSTED, Table,
    Tiled, VERSION,
};
use super::element::{Element, ElementType};
use crate::error::{XlaError, XlaResult};
use libloading::Library;
use std::ffi::{c_char, c_void};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::slice;
use std::sync::Arc;

/// The functions of a plugin.
pub(super) struct Api {
    table: NonNull<Table>,
    /// The library stays loaded until the process ends, since plugins start threads that run their code until then.
    _library: ManuallyDrop<Library>,
}

// SAFETY: The table does not change after it was made, and plugins may be called from all threads.
unsafe impl Send for Api {}
// SAFETY: As above.
unsafe impl Sync for Api {}

/// A function of the table.
type Function = unsafe extern "C" fn(*mut c_void) -> *mut Error;
/// A function of the table that reports no errors.
type SilentFunction = unsafe extern "C" fn(*mut c_void);

impl Api {
    /// Loads and initialises a plugin.
    pub(super) fn load(path: &Path) -> XlaResult<Arc<Api>> {
        let not_a_plugin = |problem: String| XlaError::NotAPlugin { path: path.into(), problem };
        if !path.exists() {
            return Err(not_a_plugin("no file".into()));
        }
        // SAFETY: Loading runs the initialisation of the library, which the caller of this crate trusts by naming it.
        let library = unsafe { Library::new(path) }.map_err(|error| not_a_plugin(describe(&error)))?;
        let table = {
            type GetApi = unsafe extern "C" fn() -> *const Table;
            // SAFETY: Each library that exports this name gives it this type.
            let symbol = unsafe { library.get::<GetApi>(b"GetPjrtApi\0") };
            let get = symbol.map_err(|_| not_a_plugin("a library without the function GetPjrtApi".into()))?;
            // SAFETY: As above.
            unsafe { get() }
        };
        let table = NonNull::new(table.cast_mut()).ok_or_else(|| not_a_plugin("an empty table of functions".into()))?;
        // SAFETY: A table is never freed, and begins with its size and its version.
        check_version(unsafe { table.as_ref() }, path)?;
        let api = Api { table, _library: ManuallyDrop::new(library) };
        // SAFETY: The arguments have no pointers.
        unsafe { api.call(&mut PluginInitialize::unset())? };
        Ok(Arc::new(api))
    }

    /// The version of the plugin.
    pub(super) fn version(&self) -> (i32, i32) {
        // SAFETY: A table is never freed.
        let table = unsafe { self.table.as_ref() };
        (table.major, table.minor)
    }

    /// The address of a function.
    fn function<A: Arguments>(&self) -> *const c_void {
        // SAFETY: `check_version` has compared the size of the table, in which pointers follow the struct `Table`.
        unsafe { self.table.add(1).cast::<*const c_void>().add(A::POSITION).read() }
    }

    /// Calls the function to which the arguments belong.
    ///
    /// # Safety
    /// The pointers among the arguments have to be valid for this function.
    unsafe fn call<A: Arguments>(&self, arguments: &mut A) -> XlaResult<()> {
        // SAFETY: All functions but those of `call_silently` have this type. The declarations name the position of the
        // function that takes these arguments.
        let error = unsafe {
            let function = std::mem::transmute::<*const c_void, Function>(self.function::<A>());
            function(std::ptr::from_mut(arguments).cast())
        };
        match NonNull::new(error) {
            None => Ok(()),
            Some(error) => Err(self.error(error, A::DOING)),
        }
    }

    /// Calls a function of a handle that is dropped, where an error cannot be returned.
    ///
    /// # Safety
    /// As for [`call`](Self::call).
    unsafe fn free<A: Arguments>(&self, mut arguments: A) {
        // SAFETY: The caller promises it.
        if let Err(error) = unsafe { self.call(&mut arguments) } {
            debug_assert!(false, "{error}");
        }
    }

    /// Calls a function that reports no errors.
    ///
    /// # Safety
    /// As for [`call`](Self::call), for the functions that read and free errors.
    unsafe fn call_silently<A: Arguments>(&self, arguments: &mut A) {
        // SAFETY: The caller promises it.
        unsafe {
            let function = std::mem::transmute::<*const c_void, SilentFunction>(self.function::<A>());
            function(std::ptr::from_mut(arguments).cast());
        }
    }

    /// Reads and frees an error.
    fn error(&self, error: NonNull<Error>, doing: &'static str) -> XlaError {
        let mut text = ErrorMessage { error: error.as_ptr(), ..ErrorMessage::unset() };
        let mut code = ErrorCode { error: error.as_ptr(), ..ErrorCode::unset() };
        // SAFETY: The error is alive until it is freed, and owns its text.
        let message = unsafe {
            self.call_silently(&mut text);
            let _ = self.call(&mut code);
            let message = owned(text.text, text.length);
            self.call_silently(&mut ErrorDestroy { error: error.as_ptr(), ..ErrorDestroy::unset() });
            message
        };
        match code.code {
            RESOURCE_EXHAUSTED => XlaError::OutOfMemory { doing, message },
            _ => XlaError::Plugin { doing, message },
        }
    }

    /// Waits for an event, and frees it.
    ///
    /// # Safety
    /// The event has to be alive; nothing may use it afterwards.
    unsafe fn wait(&self, event: *mut Event) -> XlaResult<()> {
        if event.is_null() {
            return Ok(());
        }
        // SAFETY: The caller promises it.
        unsafe {
            let result = self.call(&mut EventAwait { event, ..EventAwait::unset() });
            self.free(EventDestroy { event, ..EventDestroy::unset() });
            result
        }
    }
}

/// Checks the version of a plugin, and that its table has all functions of that version.
fn check_version(table: &Table, path: &Path) -> XlaResult<()> {
    let got = (table.major, table.minor);
    let functions = BufferReady::POSITION + 1;
    let is_large_enough = table.size >= size_of::<Table>() + functions * size_of::<*const c_void>();
    if got.0 != VERSION.0 || got.1 < VERSION.1 || !is_large_enough {
        return Err(XlaError::OldPlugin { path: path.into(), expected: VERSION, got });
    }
    Ok(())
}

/// An error of the loader with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A copy of text of the plugin.
///
/// # Safety
/// The text has to be alive, or its length 0.
unsafe fn owned(text: *const c_char, length: usize) -> String {
    // SAFETY: The caller promises it.
    String::from_utf8_lossy(unsafe { list(text.cast::<u8>(), length) }).into_owned()
}

/// A list of the plugin, which may be a null pointer if it is empty.
///
/// # Safety
/// The list has to be alive, or its length 0.
unsafe fn list<'a, T>(items: *const T, length: usize) -> &'a [T] {
    if length == 0 {
        return &[];
    }
    // SAFETY: The caller promises it.
    unsafe { slice::from_raw_parts(items, length) }
}

/// A client: the connection to the devices of a plugin.
pub(super) struct ClientHandle {
    api: Arc<Api>,
    client: NonNull<Client>,
    devices: Vec<NonNull<Device>>,
}

// SAFETY: Plugins may be called from all threads.
unsafe impl Send for ClientHandle {}
// SAFETY: As above.
unsafe impl Sync for ClientHandle {}

impl ClientHandle {
    pub(super) fn new(api: Arc<Api>, options: &[(&str, i64)]) -> XlaResult<Arc<ClientHandle>> {
        let options: Vec<NamedValue> = options
            .iter()
            .map(|(name, value)| NamedValue {
                name: name.as_ptr().cast(),
                name_length: name.len(),
                kind: NAMED_I64,
                value: *value,
                value_length: 1,
                ..NamedValue::unset()
            })
            .collect();
        let mut create =
            ClientCreate { options: options.as_ptr(), options_length: options.len(), ..ClientCreate::unset() };
        // SAFETY: The options live until the call has returned.
        unsafe { api.call(&mut create)? };
        let client = alive(create.client, ClientCreate::DOING)?;
        let mut handle = ClientHandle { api, client, devices: Vec::new() };
        let mut list_devices = ClientDevices { client: client.as_ptr(), ..ClientDevices::unset() };
        // SAFETY: The client is alive, and owns the list of its devices.
        let devices = unsafe {
            handle.api.call(&mut list_devices)?;
            list(list_devices.devices, list_devices.length)
        };
        handle.devices = devices.iter().filter_map(|device| NonNull::new(*device)).collect();
        Ok(Arc::new(handle))
    }

    pub(super) fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// The name of the platform.
    pub(super) fn platform(&self) -> XlaResult<String> {
        let mut platform = ClientPlatform { client: self.client.as_ptr(), ..ClientPlatform::unset() };
        // SAFETY: The client is alive, and owns the name.
        unsafe {
            self.api.call(&mut platform)?;
            Ok(owned(platform.name, platform.length))
        }
    }

    /// The number of devices of this process.
    pub(super) fn devices(&self) -> usize {
        self.devices.len()
    }

    /// The number of a device among those of all processes, and its kind.
    ///
    /// # Panics
    /// If there is no such device.
    pub(super) fn device(&self, device: usize) -> XlaResult<(i32, String)> {
        let mut describe = DeviceDescribe { device: self.devices[device].as_ptr(), ..DeviceDescribe::unset() };
        // SAFETY: The device is alive as long as its client, and owns its description.
        unsafe {
            self.api.call(&mut describe)?;
            let mut id = DeviceId { description: describe.description, ..DeviceId::unset() };
            let mut kind = DeviceKind { description: describe.description, ..DeviceKind::unset() };
            self.api.call(&mut id)?;
            self.api.call(&mut kind)?;
            Ok((id.id, owned(kind.name, kind.length)))
        }
    }

    /// Copies elements to a device.
    ///
    /// # Panics
    /// If there is no such device, or the number of elements is not that of the shape.
    pub(super) fn upload<T: Element>(
        self: &Arc<Self>,
        device: usize,
        data: &[T],
        dims: &[i64],
    ) -> XlaResult<BufferHandle> {
        assert_eq!(dims.iter().product::<i64>(), data.len() as i64, "the number of elements is not that of the shape");
        let mut upload = BufferUpload {
            client: self.client.as_ptr(),
            data: data.as_ptr().cast(),
            kind: T::TYPE.code(),
            dims: dims.as_ptr(),
            rank: dims.len(),
            semantics: COPIED_DURING_CALL,
            device: self.devices[device].as_ptr(),
            ..BufferUpload::unset()
        };
        // SAFETY: The data have the elements that the type and the shape state, and are copied during the call.
        unsafe {
            self.api.call(&mut upload)?;
            let buffer = BufferHandle::new(self, alive(upload.buffer, BufferUpload::DOING)?);
            self.api.wait(upload.done)?;
            Ok(buffer)
        }
    }

    /// Compiles a program in StableHLO, with options in the format of protocol buffers.
    pub(super) fn compile(self: &Arc<Self>, text: &str, options: &[u8]) -> XlaResult<ProgramHandle> {
        const FORMAT: &str = "mlir";
        let program = Program {
            code: text.as_ptr().cast(),
            code_length: text.len(),
            format: FORMAT.as_ptr().cast(),
            format_length: FORMAT.len(),
            ..Program::unset()
        };
        let mut compile = ClientCompile {
            client: self.client.as_ptr(),
            program: &program,
            options: options.as_ptr(),
            options_length: options.len(),
            ..ClientCompile::unset()
        };
        // SAFETY: The program and the options live until the call has returned.
        unsafe { self.api.call(&mut compile)? };
        let executable = alive(compile.executable, ClientCompile::DOING)?;
        let mut handle = ProgramHandle { client: self.clone(), executable, outputs: 0 };
        let mut examine = LoadedExecutableOf { loaded: executable.as_ptr(), ..LoadedExecutableOf::unset() };
        // SAFETY: The program is alive. What describes it is freed at the end.
        unsafe {
            self.api.call(&mut examine)?;
            let executable = examine.executable;
            let mut outputs = ExecutableOutputs { executable, ..ExecutableOutputs::unset() };
            let counted = self.api.call(&mut outputs);
            self.api.free(ExecutableDestroy { executable, ..ExecutableDestroy::unset() });
            counted?;
            handle.outputs = outputs.outputs;
        }
        Ok(handle)
    }
}

impl Drop for ClientHandle {
    fn drop(&mut self) {
        // SAFETY: All handles of things of this client keep it alive.
        unsafe { self.api.free(ClientDestroy { client: self.client.as_ptr(), ..ClientDestroy::unset() }) };
    }
}

/// A pointer that a plugin has set.
fn alive<T>(pointer: *mut T, doing: &'static str) -> XlaResult<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| XlaError::Plugin { doing, message: "a null pointer was returned".into() })
}

/// A compiled program.
pub(super) struct ProgramHandle {
    client: Arc<ClientHandle>,
    executable: NonNull<LoadedExecutable>,
    outputs: usize,
}

// SAFETY: Plugins may be called from all threads.
unsafe impl Send for ProgramHandle {}
// SAFETY: As above.
unsafe impl Sync for ProgramHandle {}

impl ProgramHandle {
    /// The number of results.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Runs the program on its devices, with a list of arguments for each, and returns a list of results for each. The
    /// call may return before the results are computed. The arguments in `kept` are not donated.
    ///
    /// # Panics
    /// If the numbers of arguments differ.
    pub(super) fn run(&self, arguments: &[Vec<&BufferHandle>], kept: &[i64]) -> XlaResult<Vec<Vec<BufferHandle>>> {
        let count = arguments.first().map_or(0, Vec::len);
        assert!(arguments.iter().all(|list| list.len() == count), "devices have different numbers of arguments");
        let arguments: Vec<Vec<*mut Buffer>> =
            arguments.iter().map(|list| list.iter().map(|buffer| buffer.buffer.as_ptr()).collect()).collect();
        let mut outputs = vec![vec![null_mut::<Buffer>(); self.outputs]; arguments.len()];
        let argument_lists: Vec<*const *mut Buffer> = arguments.iter().map(|list| list.as_ptr()).collect();
        let output_lists: Vec<*mut *mut Buffer> = outputs.iter_mut().map(|list| list.as_mut_ptr()).collect();
        let mut options =
            ExecuteOptions { not_donated: kept.as_ptr(), not_donated_length: kept.len(), ..ExecuteOptions::unset() };
        let mut execute = Execute {
            executable: self.executable.as_ptr(),
            options: &mut options,
            arguments: argument_lists.as_ptr(),
            devices: argument_lists.len(),
            arguments_length: count,
            outputs: output_lists.as_ptr(),
            ..Execute::unset()
        };
        // SAFETY: All lists live until the call has returned, and have the lengths that are stated. The plugin compares
        // the number of arguments and their sizes with those of the program, and refuses donated buffers.
        unsafe { self.client.api.call(&mut execute)? };
        let owned = |buffer: *mut Buffer| Ok(BufferHandle::new(&self.client, alive(buffer, Execute::DOING)?));
        outputs.into_iter().map(|list| list.into_iter().map(owned).collect()).collect()
    }
}

impl Drop for ProgramHandle {
    fn drop(&mut self) {
        let executable = self.executable.as_ptr();
        // SAFETY: Nothing else uses the program.
        unsafe { self.client.api.free(LoadedDestroy { executable, ..LoadedDestroy::unset() }) };
    }
}

/// A tensor on a device.
pub(super) struct BufferHandle {
    client: Arc<ClientHandle>,
    buffer: NonNull<Buffer>,
}

// SAFETY: Plugins may be called from all threads.
unsafe impl Send for BufferHandle {}
// SAFETY: As above.
unsafe impl Sync for BufferHandle {}

impl BufferHandle {
    fn new(client: &Arc<ClientHandle>, buffer: NonNull<Buffer>) -> Self {
        BufferHandle { client: client.clone(), buffer }
    }

    pub(super) fn element_type(&self) -> XlaResult<ElementType> {
        let mut kind = BufferKind { buffer: self.buffer.as_ptr(), ..BufferKind::unset() };
        // SAFETY: The buffer is alive.
        unsafe { self.client.api.call(&mut kind)? };
        Ok(ElementType::from_code(kind.kind))
    }

    pub(super) fn dims(&self) -> XlaResult<Vec<i64>> {
        let mut dims = BufferDims { buffer: self.buffer.as_ptr(), ..BufferDims::unset() };
        // SAFETY: The buffer is alive, and owns the list.
        unsafe {
            self.client.api.call(&mut dims)?;
            Ok(list(dims.dims, dims.rank).to_vec())
        }
    }

    /// Waits until the value is computed.
    pub(super) fn wait(&self) -> XlaResult<()> {
        let mut ready = BufferReady { buffer: self.buffer.as_ptr(), ..BufferReady::unset() };
        // SAFETY: The buffer is alive. The event is not used afterwards.
        unsafe {
            self.client.api.call(&mut ready)?;
            self.client.api.wait(ready.event)
        }
    }

    /// Waits until the value is computed, and copies its elements in row-major order. The caller has compared the type
    /// and the number of elements; a plugin refuses a destination that is too small.
    pub(super) fn download<T: Element>(&self, rank: usize, destination: &mut [T]) -> XlaResult<()> {
        let minor_to_major: Vec<i64> = (0..rank as i64).rev().collect();
        let tiled = Tiled { minor_to_major: minor_to_major.as_ptr(), rank, ..Tiled::unset() };
        let layout = Layout { size: size_of::<Layout>(), extension: null(), tiled, kind: 0 };
        let mut download = BufferDownload {
            buffer: self.buffer.as_ptr(),
            layout: &layout,
            destination: destination.as_mut_ptr().cast(),
            length: size_of_val(destination),
            ..BufferDownload::unset()
        };
        // SAFETY: The destination is exclusively borrowed until the copy is complete, at the end of the event. Each
        // pattern of bits is an element.
        unsafe {
            self.client.api.call(&mut download)?;
            self.client.api.wait(download.event)
        }
    }
}

impl Drop for BufferHandle {
    fn drop(&mut self) {
        let buffer = self.buffer.as_ptr();
        // SAFETY: Nothing else uses the buffer.
        unsafe { self.client.api.free(BufferDestroy { buffer, ..BufferDestroy::unset() }) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(major: i32, minor: i32, functions: usize) -> Table {
        let size = size_of::<Table>() + functions * size_of::<*const c_void>();
        Table { size, extension: null(), version_size: 24, version_extension: null(), major, minor }
    }

    #[test]
    fn plugins_of_other_versions_are_refused() {
        let path = Path::new("old.so");
        assert!(check_version(&table(0, 81, 118), path).is_ok() && check_version(&table(0, 115, 140), path).is_ok());
        let error = check_version(&table(0, 54, 118), path).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected a plugin of version 0.81 of the PJRT API or later, got version 0.54 in old.so; install a newer \
             release of the plugin"
        );
        assert!(matches!(check_version(&table(1, 90, 118), path), Err(XlaError::OldPlugin { got: (1, 90), .. })));
        // A table that is smaller than its version says.
        assert!(check_version(&table(0, 81, 60), path).is_err());
    }
}

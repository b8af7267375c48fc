// The mini-program itself: modules as CommonJS, pages on a stack, each in its own element.
/* global phone */
(function () {
  const { bundle } = phone;
  const { adapter } = phone;
  const { glassEasel } = adapter;
  const environment = new adapter.MiniProgramEnv();
  const space = environment.createCodeSpace('', true);
  let app = null;

  /** A phone has no DOM: code that uses these must fail here too. */
  const ABSENT = ['window', 'document', 'localStorage', 'fetch', 'XMLHttpRequest', 'location', 'navigator', 'WebSocket', 'FormData', 'alert', 'self', 'globalThis', 'URL', 'phone'];
  const loaded = {};
  const global = {}; // a phone has one, which is not its window
  let registering = {}; // Page and Component of the page or component whose file runs

  function resolve(from, to) {
    const parts = to.startsWith('/') ? [] : from.split('/').slice(0, -1);
    for (const step of to.replace(/\.js$/, '').split('/')) {
      if (step === '..') parts.pop();
      else if (step && step !== '.') parts.push(step);
    }
    return parts.join('/');
  }

  function load(id) {
    if (loaded[id]) return loaded[id].exports;
    if (!(id in bundle.modules)) throw new Error(`module '${id}.js' is not defined`);
    const module = { exports: {} };
    loaded[id] = module;
    const given = {
      require: (to) => load(resolve(id, to)), module, exports: module.exports, wx: phone.wx, global,
      App: (options) => { app = options; }, Page: (options) => registering.Page(options), Component: (options) => registering.Component(options),
      getApp: () => app, getCurrentPages: () => stack.map((page) => page.instance),
    };
    new Function(...Object.keys(given), ...ABSENT, `${bundle.modules[id]}\n//# sourceURL=miniprogram:///${id}.js`)(...Object.values(given));
    return module.exports;
  }

  function define() {
    const using = phone.defineElements(space, bundle.templates);
    const components = Object.entries(bundle.components).sort(([, a], [, b]) => Number(Boolean(b.json.component)) - Number(Boolean(a.json.component)));
    for (const [path, { json, scope, css }] of components) {
      space.addComponentStaticConfig(path, Object.assign({}, json, {
        usingComponents: Object.assign({}, using, bundle.app.usingComponents, json.usingComponents),
      }));
      space.addCompiledTemplate(path, { groupList: bundle.templates, content: bundle.templates[path] });
      if (css && scope) space.addStyleSheet(path, path, scope);
      space.componentEnv(path, (hooks) => {
        registering = hooks;
        load(path);
      });
    }
  }

  /** Gestures go into the mini-program as its own events; everything else is triggered by the elements. */
  function createBackend() {
    const context = new glassEasel.CurrentWindowBackendContext();
    context.onEvent((target, type, detail, options) => {
      if (!/^(tap|canceltap|longpress|touch|transitionend|animation)/.test(type)) return 0;
      const event = new glassEasel.Event(type, detail, options);
      glassEasel.Event.dispatchEvent(target, event);
      return event.defaultPrevented() ? 1 : 0;
    });
    const backend = environment.associateBackend(context);
    for (const [path, { css, scope }] of Object.entries(bundle.components)) {
      if (css && scope) backend.registerStyleSheetContent(path, css);
    }
    return backend;
  }

  /** A click without a pointer is one of the keyboard; the mini-program makes its taps of what a pointer does. */
  function tapByKeyboard(event) {
    if (event.detail !== 0) return;
    const box = event.target.getBoundingClientRect();
    const at = { bubbles: true, button: 0, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
    for (const type of ['mousedown', 'mouseup']) event.target.dispatchEvent(new MouseEvent(type, at));
  }
  document.getElementById('pages').addEventListener('click', tapByKeyboard);

  load('app');
  define();
  const backend = createBackend();
  const stack = [];
  const top = () => stack[stack.length - 1];
  const call = (page, name, argument) => page.instance[name] && page.instance[name](argument);

  function create(url) {
    const [path, query] = url.replace(/^\//, '').split('?');
    if (!bundle.components[path]) throw new Error(`page "${path}" is not found`);
    const frame = document.createElement('div');
    const view = document.createElement('div');
    const place = document.createElement('span');
    frame.className = 'wx-frame';
    view.className = 'wx-page';
    view.dataset.path = path;
    view.append(place);
    frame.append(view);
    document.getElementById('pages').append(frame);
    const root = backend.createRoot('wx-root', space, path);
    root.attach(view, place);
    if (stack.length) call(top(), 'onHide');
    const page = { path, frame, root, instance: Object.assign(withQueries(root.get()), { route: path }) };
    view.addEventListener('scroll', () => { if (view.scrollTop + view.clientHeight > view.scrollHeight - 50) call(page, 'onReachBottom'); });
    stack.push(page);
    call(page, 'onLoad', Object.fromEntries(new URLSearchParams(query || '')));
    show();
    call(page, 'onReady');
  }

  /** this.createSelectorQuery().select(s).fields({node}).exec(callback), which is all that the poster needs. */
  function withQueries(instance) {
    const find = (selector) => instance._$.getShadowRoot().querySelector(selector).getBackendElement();
    const query = (selector) => ({ fields: () => ({ exec: (callback) => callback([{ node: find(selector) }]) }) });
    instance.createSelectorQuery = () => ({ select: query });
    return instance;
  }

  function destroy() {
    const page = stack.pop();
    call(page, 'onUnload');
    page.root.release();
    page.frame.remove();
  }

  function show() {
    stack.forEach((page, i) => { page.frame.hidden = i < stack.length - 1; });
    const { json } = bundle.components[top().path];
    document.getElementById('title').textContent = json.navigationBarTitleText || bundle.app.window.navigationBarTitleText;
    document.getElementById('back').hidden = stack.length < 2;
    call(top(), 'onShow');
  }

  phone.pages = {
    push: create,
    replace(url) {
      destroy();
      create(url);
    },
    restart(url) {
      while (stack.length) destroy();
      create(url);
    },
    pop() {
      if (stack.length < 2) return;
      destroy();
      show();
    },
    get path() { return top().path; },
    get current() { return top().instance; },
    /** Only a page that stands at its top can be pulled down. */
    pullDown() {
      top().frame.firstChild.scrollTop = 0;
      return call(top(), 'onPullDownRefresh');
    },
  };

  phone.load = load; // for tests: the modules as the pages have them
  phone.start = () => {
    if (app.onLaunch) app.onLaunch({});
    create(bundle.app.pages[0]);
  };
  document.getElementById('back').onclick = () => phone.pages.pop();
}());

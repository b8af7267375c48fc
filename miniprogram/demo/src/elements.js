// The built-in elements of WXML that the example uses, drawn by the browser. They behave as WeChat's do where the
// example can tell; nothing else is imitated.
/* global phone */
(function () {
  const COMMON = ['hidden', 'ariaLabel', 'ariaRole', 'role', 'ariaChecked', 'hoverClass'];

  const domOf = (component) => component._$.getBackendElement();
  const kebab = (name) => name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);

  function setAttribute(element, name, value) {
    const aria = name.startsWith('aria'); // true and false are words there, and elsewhere they are presence and absence
    const absent = value === undefined || value === null || value === '' || (value === false && !aria);
    if (absent) element.removeAttribute(kebab(name));
    else element.setAttribute(kebab(name), value === true && !aria ? '' : String(value));
  }

  /** A <view> with the role of a control is one for the keyboard too: Tab reaches it, Enter and Space press it. */
  function setRole(element, role) {
    setAttribute(element, 'role', role);
    if (!['button', 'checkbox', 'link'].includes(role) || element.localName === 'button') return;
    element.tabIndex = 0;
    element.onkeydown = (event) => {
      if (event.target !== element || (event.key !== 'Enter' && event.key !== ' ')) return;
      event.preventDefault();
      element.click();
    };
  }

  /** What an element does with a property that is not simply an attribute of the same name. */
  const SPECIAL = {
    ariaRole: setRole,
    role: setRole,
    mode: (element, value) => { element.style.backgroundSize = value === 'aspectFill' ? 'cover' : '100% 100%'; },
    src: (element, value) => {
      setAttribute(element, 'src', value);
      element.style.backgroundImage = value ? `url("${phone.files.show(value)}")` : '';
      element.style.backgroundPosition = 'center';
    },
    formType: (element, value) => { element.type = value || 'button'; },
    value: (element, value) => { if (element.value !== (value || '')) element.value = value || ''; },
    inputType: (element, value) => { element.dataset.type = value; },
    rootFontSize: () => { document.documentElement.style.fontSize = 'var(--system-font-size)'; },
  };

  function onButton(component) {
    const element = domOf(component);
    if (!component.data.formType) element.type = 'button';
    element.addEventListener('click', async () => {
      const open = OPEN_TYPES[component.data.openType];
      if (open && !component.data.disabled) await open(component);
    });
  }

  /** Buttons that ask the phone for something; the privacy agreement comes first. */
  const OPEN_TYPES = {
    async chooseAvatar(component) {
      if (!(await phone.privacy.agreed('button.chooseAvatar'))) return;
      const file = await phone.host('chooseAvatar');
      if (file) component.triggerEvent('chooseavatar', { avatarUrl: phone.files.add(file) });
    },
    async getPhoneNumber(component) {
      const agreed = await phone.privacy.agreed('button.getPhoneNumber');
      const refused = { errMsg: 'getPhoneNumber:fail privacy permission is not authorized', errno: 104 };
      component.triggerEvent('getphonenumber', agreed ? await phone.host('getPhoneNumber') : refused);
    },
    async agreePrivacyAuthorization(component) {
      component.triggerEvent('agreeprivacyauthorization', { errMsg: 'agreePrivacyAuthorization:ok' });
    },
  };

  function onInput(component) {
    const element = domOf(component);
    element.addEventListener('input', () => component.triggerEvent('input', { value: element.value, cursor: element.selectionStart }));
    element.addEventListener('change', () => component.triggerEvent('change', { value: element.value }));
    element.addEventListener('blur', () => component.triggerEvent('blur', { value: element.value }));
  }

  function onForm(component) {
    const element = domOf(component);
    element.addEventListener('submit', (event) => {
      event.preventDefault();
      const fields = [...element.querySelectorAll('[name]')].map((field) => [field.getAttribute('name'), field.value]);
      component.triggerEvent('submit', { value: Object.fromEntries(fields) });
    });
  }

  phone.elements = {
    'page-meta': { properties: ['rootFontSize'] },
    view: { properties: [] },
    text: { properties: ['selectable'] },
    image: { properties: ['src', 'mode'] },
    button: { properties: ['type', 'size', 'disabled', 'loading', 'formType', 'openType'], attached: onButton },
    input: { properties: ['value', 'name', 'placeholder', 'maxlength', 'disabled', 'type'], attached: onInput, empty: true },
    form: { properties: [], attached: onForm },
    canvas: { properties: ['type'], empty: true },
  };

  /** @param tag whose `type` means something else in HTML */
  const handlerOf = (tag, name) => SPECIAL[name === 'type' && tag !== 'button' ? 'inputType' : name]
    || ((element, value) => setAttribute(element, name, value));

  /** Makes components of the elements; returns what usingComponents needs. */
  phone.defineElements = (space, templates) => {
    const using = {};
    for (const [tag, element] of Object.entries(phone.elements)) {
      const path = `wx/${tag}`;
      const names = element.properties.concat(COMMON);
      space.addComponentStaticConfig(path, { component: true, styleIsolation: 'shared' });
      if (!element.empty) space.addCompiledTemplate(path, { groupList: templates, content: templates['wx/slot'] });
      space.componentEnv(path, ({ Component }) => Component({
        properties: Object.fromEntries(names.map((name) => [name, { type: null, value: undefined }])),
        observers: Object.fromEntries(names.map((name) => [name, function changed(value) {
          const element = domOf(this);
          if (element) handlerOf(tag, name)(element, value); // a page that was left may still call setData
        }])),
        lifetimes: { attached() { if (element.attached) element.attached(this); } },
      }));
      using[tag] = `/${path}`;
    }
    return using;
  };
}());

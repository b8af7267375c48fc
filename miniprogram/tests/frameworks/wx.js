// What Taro and uni-app ask of WeChat beyond what the example does: functions of their run times, and the properties
// that the templates of Taro name. Runs in the phone, before the app.
/* global phone */
(function () {
  const system = {
    SDKVersion: '3.9.0', brand: 'devtools', language: 'zh_CN', model: 'iPhone 15', pixelRatio: 2, platform: 'devtools', screenHeight: 844,
    screenWidth: 390, statusBarHeight: 47, system: 'iOS 17.0', version: '8.0.50', windowHeight: 844, windowWidth: 390,
  };
  const nothing = () => {};
  const aboutSystem = () => Object.assign({}, system);
  const launch = () => ({ path: 'pages/index/index', query: {}, scene: 1001 });
  const listeners = ['AppShow', 'AppHide', 'Error', 'UnhandledRejection', 'PageNotFound', 'MemoryWarning', 'ThemeChange', 'WindowResize'];
  Object.assign(phone.wx, {
    env: { USER_DATA_PATH: 'http://usr' },
    getSystemInfoSync: aboutSystem, getDeviceInfo: aboutSystem, getAppBaseInfo: aboutSystem, getWindowInfo: aboutSystem, getSystemSetting: aboutSystem,
    getLaunchOptionsSync: launch, getEnterOptionsSync: launch,
    nextTick: (callback) => setTimeout(callback),
  });
  for (const name of listeners) Object.assign(phone.wx, { [`on${name}`]: nothing, [`off${name}`]: nothing });

  const properties = {
    view: 'hoverStopPropagation hoverStartTime hoverStayTime',
    text: 'space decode userSelect overflow maxLines',
    button: 'plain hoverStopPropagation hoverStartTime hoverStayTime name lang sessionFrom sendMessageTitle sendMessagePath sendMessageImg appParameter showMessageCard businessId',
  };
  phone.adapter.glassEasel.globalOptions.useMethodCallerListeners = true; // uni-app gives a page its handlers as it renders

  for (const [tag, names] of Object.entries(properties)) phone.elements[tag].properties.push(...names.split(' '));
}());

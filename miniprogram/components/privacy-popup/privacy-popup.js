/**
 * Asks for consent when WeChat says that a privacy API needs it. The last page that registered is the one that is asked,
 * so every page that uses such an API has a popup of its own.
 */
Component({
  data: { open: false, contract: '《用户隐私保护指引》' },

  lifetimes: {
    attached() {
      this.register();
    },
  },
  pageLifetimes: {
    show() {
      this.register();
    },
  },

  methods: {
    register() {
      if (!wx.onNeedPrivacyAuthorization) return; // before 2.32.3 WeChat shows a popup of its own
      wx.onNeedPrivacyAuthorization((/** @type {any} */ resolve) => {
        this.answer = resolve;
        this.setData({ open: true });
      });
    },

    /** @type {(decision: object) => void} */
    answer() {},

    onAgree() {
      this.setData({ open: false });
      this.answer({ event: 'agree', buttonId: 'privacy-agree' });
    },

    onRefuse() {
      this.setData({ open: false });
      this.answer({ event: 'disagree' });
    },

    onRead() {
      wx.openPrivacyContract({});
    },

    onIgnore() {},
  },
});

import { useState } from 'react';
import { useLoad } from '@tarojs/taro';
import { Button, Text, View } from '@tarojs/components';
import { GatewayError, getLocalUserInfo, logout, request, wechatLogin } from 'wxgate-miniprogram';
import './index.css';

const inBrowser = process.env.TARO_ENV === 'h5';

export default function Index() {
  const [recipes, setRecipes] = useState([]);
  const [user, setUser] = useState(null);
  const [error, setError] = useState('');

  /** Does something, shows what failed, and what is true afterwards. */
  async function attempt(work) {
    setError('');
    try {
      await work();
      const { data } = await request({ url: '/api/v1/recipes', data: { page: 1 } });
      setRecipes(data.data.items);
    } catch (failure) {
      if (!(failure instanceof GatewayError)) throw failure;
      setError(failure.message);
    }
    setUser(getLocalUserInfo());
  }

  // A page in a browser has no wx.login: the mini-program that opened it handed over a code.
  useLoad(({ code }) => attempt(async () => {
    if (inBrowser && code && !getLocalUserInfo()) await wechatLogin({ code });
  }));

  const like = ({ id, liked }) => attempt(() => request({ url: `/api/v1/recipes/${id}/like`, method: liked ? 'DELETE' : 'POST' }));

  return (
    <View className='page'>
      {recipes.map((recipe) => (
        <View className='dish' key={recipe.id}>
          <Text>{recipe.title}</Text>
          <Button size='mini' onClick={() => like(recipe)}>{recipe.liked ? '已喜欢' : '喜欢'} {recipe.likes}</Button>
        </View>
      ))}
      {error && <View className='error'>{error}</View>}
      <View>{user ? `你好，${user.nickname || `用户 ${user.id}`}` : '未登录'}</View>
      {!user && !inBrowser && <Button onClick={() => attempt(() => wechatLogin())}>登录</Button>}
      {user && <Button onClick={() => attempt(() => logout())}>退出</Button>}
    </View>
  );
}
